//! Files and directories: what is opened, read, written, listed and changed.

use super::*;
use std::time::{Duration, UNIX_EPOCH};

/// A guest with an empty directory for reading and writing.
fn guest() -> (TempDir, Guest) {
    let dir = TempDir::new();
    let guest = Guest::in_dir(&dir, DirAccess::ReadWrite);
    (dir, guest)
}

#[test]
fn directories_are_found_by_their_names() {
    let dir = TempDir::new();
    fs::create_dir(dir.join("b")).unwrap();
    let opened = fuelsched::wasi::Dir::from_std_file(fs::File::open(dir.join("b")).unwrap());
    let builder = Wasi::builder().dir(dir.path(), "/a", DirAccess::ReadWrite);
    let mut guest = Guest::new(&builder.open_dir(opened, "b", DirAccess::ReadOnly));
    for (fd, name) in [(3, "/a"), (4, "b")] {
        assert_eq!(guest.call("fd_prestat_get", &[fd, OUT.into()]), 0);
        assert_eq!((guest.u32(OUT), guest.u32(OUT + 4)), (0, name.len() as u32));
        let len = name.len() as i64;
        assert_eq!(guest.call("fd_prestat_dir_name", &[fd, OUT.into(), len - 1]), errno::NAMETOOLONG);
        assert_eq!(guest.call("fd_prestat_dir_name", &[fd, OUT.into(), len + 1]), 0);
        assert_eq!(guest.get(OUT, name.len()), name.as_bytes());
    }
    // The search of a C library ends where there is none, and one that was opened later is none of these.
    assert_eq!(guest.call("fd_prestat_get", &[5, OUT.into()]), errno::BADF);
    assert_eq!(guest.open(3, "b", DIRECTORY, 0, 0), Ok(5));
    assert_eq!(guest.call("fd_prestat_get", &[5, OUT.into()]), errno::BADF);
    assert_eq!(guest.call("fd_prestat_dir_name", &[5, OUT.into(), 9]), errno::BADF);
}

#[test]
fn what_is_written_is_there_and_can_be_read() {
    let (dir, mut guest) = guest();
    let fd = guest.open(3, "file", CREAT, READ | WRITE, 0).unwrap();
    assert_eq!((fd, guest.write(fd, b"hello, world")), (4, Ok(12)));
    assert_eq!(dir.read("file"), b"hello, world");
    assert_eq!(guest.read(fd, 100), Ok(vec![]), "the position is at the end");
    assert_eq!(guest.seek(fd, 7, 0), Ok(7));
    assert_eq!(guest.read(fd, 3), Ok(b"wor".to_vec()));
    assert_eq!(guest.seek(fd, -2, 1), Ok(8));
    assert_eq!(guest.seek(fd, -1, 2), Ok(11));
    assert_eq!(guest.call("fd_tell", &[fd.into(), OUT.into()]), 0);
    assert_eq!(guest.u64(OUT), 11);
    for (by, whence) in [(-1, 0), (-100, 1), (0, 3), (i64::MIN, 2)] {
        assert_eq!(guest.seek(fd, by, whence), Err(errno::INVAL), "by {by} from {whence}");
    }
    // Past the end: the gap is zeros.
    assert_eq!(guest.seek(fd, 14, 0), Ok(14));
    assert_eq!(guest.write(fd, b"!"), Ok(1));
    assert_eq!(dir.read("file"), b"hello, world\0\0!");
    assert_eq!(guest.call("fd_close", &[fd.into()]), 0);
    assert_eq!(guest.read(fd, 1), Err(errno::BADF));
}

#[test]
fn a_place_can_be_read_and_written_without_moving() {
    let (dir, mut guest) = guest();
    for flags in [0, APPEND] {
        dir.write("file", b"0123456789");
        let fd = guest.open(3, "file", 0, READ | WRITE, flags).unwrap();
        guest.put(DATA, b"ab");
        guest.pieces(&[(DATA, 1), (DATA + 1, 1)]);
        assert_eq!(guest.call("fd_pwrite", &[fd.into(), PIECES.into(), 2, 3, OUT.into()]), 0);
        assert_eq!((guest.u32(OUT), dir.read("file")), (2, b"012ab56789".to_vec()), "also if others go to the end");
        assert_eq!(guest.call("fd_pread", &[fd.into(), PIECES.into(), 2, 8, OUT.into()]), 0);
        assert_eq!((guest.u32(OUT), guest.get(DATA, 2)), (2, b"89".to_vec()));
        assert_eq!(guest.call("fd_pread", &[fd.into(), PIECES.into(), 2, 100, OUT.into()]), 0);
        assert_eq!(guest.u32(OUT), 0);
        for function in ["fd_pread", "fd_pwrite"] {
            assert_eq!(guest.call(function, &[fd.into(), PIECES.into(), 2, -1, OUT.into()]), errno::INVAL);
            assert_eq!(guest.call(function, &[3, PIECES.into(), 2, 0, OUT.into()]), errno::ISDIR);
        }
        assert_eq!(guest.read(fd, 3), Ok(b"012".to_vec()), "the position is where it was");
        // And whoever writes at the end still does.
        guest.write(fd, b"x").unwrap();
        assert_eq!(dir.read("file"), if flags == 0 { &b"012xb56789"[..] } else { b"012ab56789x" });
        guest.call("fd_close", &[fd.into()]);
    }
}

#[test]
fn appending_is_a_flag_that_can_be_changed() {
    let (dir, mut guest) = guest();
    dir.write("file", b"abc");
    let fd = guest.open(3, "file", 0, READ | WRITE, APPEND).unwrap();
    let flags = |guest: &mut Guest| {
        assert_eq!(guest.call("fd_fdstat_get", &[fd.into(), OUT.into()]), 0);
        i64::from(guest.u16(OUT + 2))
    };
    assert_eq!(flags(&mut guest), APPEND);
    guest.write(fd, b"d").unwrap();
    // Without it, and with all that are about synchronising.
    assert_eq!(guest.call("fd_fdstat_set_flags", &[fd.into(), 0b1_1110]), 0);
    assert_eq!(flags(&mut guest), 0b1_1110);
    guest.seek(fd, 0, 0).unwrap();
    guest.write(fd, b"A").unwrap();
    assert_eq!(dir.read("file"), b"Abcd");
    assert_eq!(guest.call("fd_fdstat_set_flags", &[fd.into(), APPEND]), 0);
    guest.write(fd, b"e").unwrap();
    assert_eq!(dir.read("file"), b"Abcde");
    for unknown in [32, 1 << 16 | 1, -1] {
        assert_eq!(guest.call("fd_fdstat_set_flags", &[fd.into(), unknown]), errno::INVAL);
    }
    assert_eq!(guest.call("fd_fdstat_set_flags", &[3, 0]), errno::BADF);
    assert_eq!(guest.open(3, "file", TRUNC, WRITE, APPEND).map(drop), Ok(()));
    assert_eq!(dir.read("file"), b"");
}

#[test]
fn a_file_is_open_for_what_was_asked() {
    let (dir, mut guest) = guest();
    dir.write("file", b"abc");
    let rights = |guest: &mut Guest, fd: u32| {
        assert_eq!(guest.call("fd_fdstat_get", &[fd.into(), OUT.into()]), 0);
        assert_eq!(guest.get(OUT, 1), [4], "a regular file");
        guest.u64(OUT + 8) as i64 & (READ | WRITE)
    };
    let reader = guest.open(3, "file", 0, READ, 0).unwrap();
    assert_eq!(rights(&mut guest, reader), READ);
    assert_eq!((guest.write(reader, b"x"), guest.read(reader, 9)), (Err(errno::BADF), Ok(b"abc".to_vec())));
    assert_eq!(guest.call("fd_filestat_set_size", &[reader.into(), 0]), errno::BADF);
    assert_eq!(guest.call("fd_allocate", &[reader.into(), 0, 100]), errno::BADF);
    let writer = guest.open(3, "file", 0, WRITE, 0).unwrap();
    assert_eq!(rights(&mut guest, writer), WRITE);
    assert_eq!((guest.write(writer, b"x"), guest.read(writer, 9)), (Ok(1), Err(errno::BADF)));
    let neither = guest.open(3, "file", 0, 0, 0).unwrap();
    assert_eq!(rights(&mut guest, neither), 0);
    assert_eq!((guest.write(neither, b"x"), guest.read(neither, 9)), (Err(errno::BADF), Err(errno::BADF)));
    guest.pieces(&[(DATA, 1)]);
    for (fd, function) in [(writer, "fd_pread"), (reader, "fd_pwrite")] {
        assert_eq!(guest.call(function, &[fd.into(), PIECES.into(), 1, 0, OUT.into()]), errno::BADF);
    }
    assert_eq!(dir.read("file"), b"xbc");
}

#[test]
fn opening_makes_cuts_and_insists() {
    let (dir, mut guest) = guest();
    fs::create_dir(dir.join("dir")).unwrap();
    dir.write("file", b"abc");
    for (path, how, rights, expected) in [
        ("none", 0, READ, Err(errno::NOENT)),
        ("none/file", CREAT, WRITE, Err(errno::NOENT)),
        ("file/file", CREAT, WRITE, Err(errno::NOTDIR)),
        ("file", CREAT | EXCL, WRITE, Err(errno::EXIST)),
        ("file", DIRECTORY, READ, Err(errno::NOTDIR)),
        ("file/", 0, READ, Err(errno::NOTDIR)),
        ("dir", DIRECTORY | CREAT, READ, Err(errno::INVAL)),
        ("dir", DIRECTORY, READ | WRITE, Err(errno::ISDIR)),
        ("dir", 0, WRITE, Err(errno::ISDIR)),
        ("dir", 0, READ, Ok(4)),
        ("dir/", DIRECTORY, READ, Ok(5)),
        (".", 0, 0, Ok(6)),
        ("dir/..", 0, 0, Ok(7)),
        ("new", CREAT | EXCL, WRITE, Ok(8)),
        ("newer", CREAT, READ, Ok(9)),
        ("dir/.//../file", 0, READ, Ok(10)),
        ("file", 16, READ, Err(errno::INVAL)),
        ("file", TRUNC, 0, Ok(11)),
    ] {
        assert_eq!(guest.open(3, path, how, rights, 0), expected, "{path} {how} {rights}");
    }
    assert_eq!((dir.read("new"), dir.read("newer"), dir.read("file")), (vec![], vec![], vec![]));
    assert_eq!(guest.open(3, "file", 0, READ, 32), Err(errno::INVAL));
    // Through a directory of its own, and not through a file.
    dir.write("dir/below", b"found");
    assert_eq!(guest.open(4, "below", 0, READ, 0), Ok(12));
    assert_eq!(guest.read(12, 9), Ok(b"found".to_vec()));
    assert_eq!(guest.open(12, "below", 0, READ, 0), Err(errno::NOTDIR));
    assert_eq!(guest.open(4, "../file", 0, READ, 0), Err(errno::PERM), "though it is within another one that it has");
}

#[test]
fn a_directory_is_no_file() {
    let (_dir, mut guest) = guest();
    assert_eq!((guest.read(3, 1), guest.write(3, b"x")), (Err(errno::ISDIR), Err(errno::ISDIR)));
    assert_eq!(guest.seek(3, 0, 0), Err(errno::BADF));
    assert_eq!(guest.call("fd_tell", &[3, OUT.into()]), errno::BADF);
    assert_eq!(guest.call("fd_allocate", &[3, 0, 1]), errno::BADF);
    assert_eq!(guest.call("fd_advise", &[3, 0, 1, 0]), errno::BADF);
    assert_eq!(guest.call("fd_filestat_set_size", &[3, 0]), errno::BADF);
    assert_eq!(guest.call("fd_sync", &[3]), 0);
    assert_eq!(guest.call("fd_fdstat_get", &[3, OUT.into()]), 0);
    assert_eq!(guest.get(OUT, 1), [3]);
    assert_eq!(guest.u64(OUT + 8) as i64 & (READ | WRITE), 0);
    assert_eq!(guest.u64(OUT + 16) as i64 & (READ | WRITE), READ | WRITE, "what is opened in it has them");
}

#[test]
fn sizes_are_set_and_room_is_reserved() {
    let (dir, mut guest) = guest();
    let fd: i64 = guest.open(3, "file", CREAT, READ | WRITE, 0).unwrap().into();
    let size = |dir: &TempDir| fs::metadata(dir.join("file")).unwrap().len();
    for (at, len, errno, expected) in [
        (0, 100, 0, 100),
        (10, 10, 0, 100),
        (90, 20, 0, 110),
        (0, 0, errno::INVAL, 110),
        (0, -1, errno::FBIG, 110),
        (-1, 1, errno::FBIG, 110),
        (i64::MAX, 1, errno::FBIG, 110),
    ] {
        assert_eq!((guest.call("fd_allocate", &[fd, at, len]), size(&dir)), (errno, expected), "{at} {len}");
    }
    assert_eq!((guest.call("fd_filestat_set_size", &[fd, 5]), size(&dir)), (0, 5));
    assert_eq!((guest.call("fd_filestat_set_size", &[fd, 50]), size(&dir)), (0, 50));
    assert_eq!(guest.call("fd_filestat_set_size", &[fd, -1]), errno::INVAL);
    for advice in 0..6 {
        assert_eq!(guest.call("fd_advise", &[fd, 0, 10, advice]), 0);
    }
    for (at, len, advice) in [(0, 10, 6), (0, 10, -1), (-1, 1, 0), (1, i64::MAX, 0)] {
        assert_eq!(guest.call("fd_advise", &[fd, at, len, advice]), errno::INVAL);
    }
    assert_eq!((guest.call("fd_sync", &[fd]), guest.call("fd_datasync", &[fd]), size(&dir)), (0, 0, 50));
}

/// A file's attributes as they lie in the guest's memory: type, links, size, and the times of access and change.
fn stat(guest: &Guest) -> (u8, u64, u64, [u64; 2]) {
    (guest.get(OUT + 16, 1)[0], guest.u64(OUT + 24), guest.u64(OUT + 32), [guest.u64(OUT + 40), guest.u64(OUT + 48)])
}

#[test]
fn attributes_are_those_of_the_file() {
    let (dir, mut guest) = guest();
    dir.write("file", b"abc");
    std::os::unix::fs::symlink("file", dir.join("link")).unwrap();
    fs::hard_link(dir.join("file"), dir.join("other")).unwrap();
    let fd: i64 = guest.open(3, "file", 0, READ, 0).unwrap().into();
    let metadata = fs::metadata(dir.join("file")).unwrap();
    use std::os::unix::fs::MetadataExt;
    assert_eq!(guest.call("fd_filestat_get", &[fd, OUT.into()]), 0);
    assert_eq!((guest.u64(OUT), guest.u64(OUT + 8)), (metadata.dev(), metadata.ino()));
    let modified = metadata.modified().unwrap().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64;
    let (file_type, links, size, times) = stat(&guest);
    assert_eq!((file_type, links, size, times[1]), (4, 2, 3, modified));
    assert_eq!(guest.u64(OUT + 56), metadata.ctime() as u64 * 1_000_000_000 + metadata.ctime_nsec() as u64);
    // By path: the link itself, or what it leads to.
    let by_path = |guest: &mut Guest, follow: i64| {
        guest.put(PATH, b"link");
        assert_eq!(guest.call("path_filestat_get", &[3, follow, PATH.into(), 4, OUT.into()]), 0);
        stat(guest).0
    };
    assert_eq!((by_path(&mut guest, 0), by_path(&mut guest, 1)), (7, 4));
    assert_eq!(guest.call("fd_filestat_get", &[3, OUT.into()]), 0);
    assert_eq!(stat(&guest).0, 3);
    guest.put(PATH, b"none");
    assert_eq!(guest.call("path_filestat_get", &[3, 1, PATH.into(), 4, OUT.into()]), errno::NOENT);
}

#[test]
fn times_are_set_to_what_is_given_or_to_now() {
    let (dir, mut guest) = guest();
    dir.write("file", b"abc");
    std::os::unix::fs::symlink("file", dir.join("link")).unwrap();
    let fd: i64 = guest.open(3, "file", 0, READ, 0).unwrap().into();
    let times = |guest: &mut Guest, name: &str| {
        guest.put(PATH, name.as_bytes());
        assert_eq!(guest.call("path_filestat_get", &[3, 0, PATH.into(), name.len() as i64, OUT.into()]), 0);
        stat(guest).3
    };
    // Each flag by itself: 1 and 4 are to what is given, 2 and 8 to now.
    assert_eq!(guest.call("fd_filestat_set_times", &[fd, 1_000_000_001, 2_000_000_002, 5]), 0);
    assert_eq!(times(&mut guest, "file"), [1_000_000_001, 2_000_000_002]);
    assert_eq!(guest.call("fd_filestat_set_times", &[fd, 7, 7, 0]), 0);
    assert_eq!(guest.call("fd_filestat_set_times", &[fd, 7, 3_000_000_003, 4]), 0);
    assert_eq!(times(&mut guest, "file"), [1_000_000_001, 3_000_000_003]);
    assert_eq!(guest.call("fd_filestat_set_times", &[fd, 7, 7, 2]), 0);
    let [accessed, modified] = times(&mut guest, "file");
    let now = UNIX_EPOCH.elapsed().unwrap();
    assert!(now.abs_diff(Duration::from_nanos(accessed)) < Duration::from_secs(60), "{accessed}");
    assert_eq!(modified, 3_000_000_003);
    for both in [3, 12, 15, 16, -1] {
        assert_eq!(guest.call("fd_filestat_set_times", &[fd, 0, 0, both]), errno::INVAL);
    }
    // By path: of the link itself, or of what it leads to.
    for (follow, link, file) in [(0, 5, 3_000_000_003), (1, 5, 6)] {
        guest.put(PATH, b"link");
        let new = if follow == 0 { 5 } else { 6 };
        assert_eq!(guest.call("path_filestat_set_times", &[3, follow, PATH.into(), 4, 0, new, 4]), 0);
        assert_eq!((times(&mut guest, "link")[1], times(&mut guest, "file")[1]), (link, file));
    }
    assert_eq!(guest.call("fd_filestat_set_times", &[3, 8, 9, 5]), 0);
    assert_eq!(times(&mut guest, "."), [8, 9]);
}

#[test]
fn a_listing_is_complete_through_any_buffer() {
    let (dir, mut guest) = guest();
    let mut expected = vec![".".to_string(), "..".to_string()];
    for i in 0..100 {
        expected.push(format!("file-{i}"));
        dir.write(&format!("file-{i}"), b"");
    }
    fs::create_dir(dir.join("zz")).unwrap();
    expected.push("zz".into());
    expected.sort();
    for buffer in [40, 64, 257, 4096, 1 << 20] {
        let listed = guest.list(3, 0, buffer).unwrap();
        let mut names: Vec<String> = listed.iter().map(|(_, name)| name.clone()).collect();
        assert_eq!((&names[0], &names[1]), (&".".to_string(), &"..".to_string()));
        names.sort();
        assert_eq!(names, expected, "through {buffer} bytes");
        // From a place in the middle, which is behind what is kept, and from the end.
        assert_eq!(guest.list(3, listed[50].0, buffer).unwrap(), listed[50..]);
        assert_eq!(guest.list(3, 103, buffer), Ok(vec![]));
        assert_eq!(guest.list(3, u64::MAX, buffer), Ok(vec![]));
    }
    // The entry says what it is.
    assert_eq!(guest.call("fd_readdir", &[3, DATA.into(), 24 + 1, 0, OUT.into()]), 0);
    assert_eq!((guest.u32(OUT), guest.u64(DATA), guest.u32(DATA + 16), guest.get(DATA + 20, 1)[0]), (25, 1, 1, 3));
    let inode = guest.u64(DATA + 8);
    assert_eq!(guest.call("fd_filestat_get", &[3, OUT.into()]), 0);
    assert_eq!(guest.u64(OUT + 8), inode);
}

#[test]
fn a_listing_that_is_emptied_as_it_goes_loses_nothing() {
    let (dir, mut guest) = guest();
    (0..50).for_each(|i| dir.write(&format!("file-{i}"), b""));
    let mut cookie = 0;
    // As a program does that removes a directory with all that is in it: a few entries at a time.
    loop {
        assert_eq!(guest.call("fd_readdir", &[3, DATA.into(), 100, cookie, OUT.into()]), 0);
        let (used, mut at) = (guest.u32(OUT), DATA);
        while at + 24 <= DATA + used && at + 24 + guest.u32(at + 16) <= DATA + used {
            let len = guest.u32(at + 16);
            let name = String::from_utf8(guest.get(at + 24, len as usize)).unwrap();
            cookie = guest.u64(at) as i64;
            at += 24 + len;
            if name.starts_with("file") {
                let kept = guest.get(DATA, used as usize);
                assert_eq!(guest.path_call("path_unlink_file", 3, &name), 0);
                guest.put(DATA, &kept);
            }
        }
        if used < 100 {
            break;
        }
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_listing_from_the_beginning_shows_what_is_new() {
    let (dir, mut guest) = guest();
    for (name, count) in [("a", 3), ("b", 4), ("c", 5)] {
        dir.write(name, b"");
        assert_eq!(guest.list(3, 0, 4096).map(|names| names.len()), Ok(count));
    }
}

#[test]
fn a_large_directory_is_listed_in_slices() {
    let (dir, mut guest) = guest();
    (0..3_000).for_each(|i| dir.write(&format!("{i}"), b""));
    let names = guest.list(3, 0, 1 << 20).unwrap();
    assert_eq!(names.len(), 3_002);
    // One call: 96 bytes' worth of work for each entry, and the entries themselves.
    assert!(guest.used > Fuel(3_002 * 64), "{:?}", guest.used);
    // Going back further than what is kept begins anew, and comes to the same.
    assert_eq!(guest.list(3, 100, 1 << 20).unwrap(), names[100..]);
}

#[test]
fn directories_are_made_and_removed() {
    let (dir, mut guest) = guest();
    assert_eq!(guest.path_call("path_create_directory", 3, "dir"), 0);
    assert_eq!(guest.path_call("path_create_directory", 3, "dir"), errno::EXIST);
    assert_eq!(guest.path_call("path_create_directory", 3, "dir/sub/"), 0);
    assert_eq!(guest.path_call("path_create_directory", 3, "none/sub"), errno::NOENT);
    assert_eq!(guest.path_call("path_remove_directory", 3, "dir"), errno::NOTEMPTY);
    assert_eq!(guest.path_call("path_unlink_file", 3, "dir"), errno::ISDIR);
    dir.write("file", b"");
    assert_eq!(guest.path_call("path_remove_directory", 3, "file"), errno::NOTDIR);
    assert_eq!(guest.path_call("path_remove_directory", 3, "file/"), errno::NOTDIR);
    assert_eq!(guest.path_call("path_remove_directory", 3, "."), errno::INVAL);
    assert_eq!(guest.path_call("path_remove_directory", 3, "/"), errno::PERM);
    assert_eq!(guest.path_call("path_unlink_file", 3, "file/"), errno::NOTDIR);
    assert_eq!(guest.path_call("path_unlink_file", 3, "file"), 0);
    assert_eq!(guest.path_call("path_unlink_file", 3, "file"), errno::NOENT);
    assert_eq!(guest.path_call("path_remove_directory", 3, "dir/sub/"), 0);
    assert_eq!(guest.path_call("path_remove_directory", 3, "dir"), 0);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn files_are_renamed_linked_and_pointed_to() {
    let (dir, mut guest) = guest();
    dir.write("a", b"content");
    fs::create_dir(dir.join("dir")).unwrap();
    assert_eq!(guest.two_paths("path_rename", "a", "dir/b"), 0);
    assert_eq!(dir.read("dir/b"), b"content");
    assert_eq!(guest.two_paths("path_rename", "a", "c"), errno::NOENT);
    fs::create_dir(dir.join("empty")).unwrap();
    assert_eq!(guest.two_paths("path_rename", "dir/b", "empty"), errno::ISDIR);
    assert_eq!(guest.two_paths("path_rename", "empty/", "renamed/"), 0);
    assert_eq!(guest.two_paths("path_rename", "renamed", "dir"), errno::NOTEMPTY);
    assert_eq!(guest.two_paths("path_rename", "renamed", "dir/b"), errno::NOTDIR);
    assert_eq!(guest.two_paths("path_rename", "dir/b", "new/"), errno::NOTDIR);
    assert_eq!(guest.two_paths("path_link", "dir/b", "hard"), 0);
    assert_eq!(guest.two_paths("path_link", "dir/b", "hard"), errno::EXIST);
    assert_eq!(guest.two_paths("path_link", "dir/b", "new/"), errno::NOENT);
    assert_eq!(dir.read("hard"), b"content");
    assert_eq!(guest.two_paths("path_symlink", "dir/b", "soft"), 0);
    assert_eq!(guest.two_paths("path_symlink", "elsewhere", "soft"), errno::EXIST);
    assert_eq!(guest.two_paths("path_symlink", "dir/b", "new/"), errno::NOENT);
    assert_eq!(guest.two_paths("path_symlink", "dir/b", "renamed/"), errno::EXIST);
    assert_eq!(guest.two_paths("path_symlink", "dir/b", "hard/"), errno::NOTDIR);
    assert_eq!(dir.read("soft"), b"content");
    guest.put(PATH, b"soft");
    for (buffer, says) in [(100, "dir/b"), (5, "dir/b"), (3, "dir"), (0, "")] {
        let args = [3, PATH.into(), 4, DATA.into(), buffer, OUT.into()];
        assert_eq!(guest.call("path_readlink", &args), 0);
        assert_eq!((guest.u32(OUT) as usize, guest.get(DATA, says.len())), (says.len(), says.into()));
    }
    guest.put(PATH, b"hard");
    let args = [3, PATH.into(), 4, DATA.into(), 100, OUT.into()];
    assert_eq!(guest.call("path_readlink", &args), errno::INVAL);
    // Not followed, a link is no file that could be opened; and to follow one is not asked of a hard link.
    assert_eq!(guest.open_with(3, 0, "soft", 0, READ, 0), Err(errno::LOOP));
    assert_eq!(guest.open_with(3, 1, "soft", 0, READ, 0), Ok(4));
    let args = [3, 1, PATH.into(), 4, 3, OTHER_PATH.into(), 4];
    assert_eq!(guest.call("path_link", &args), errno::INVAL);
    // A link is removed, and not what it leads to.
    assert_eq!(guest.path_call("path_unlink_file", 3, "soft"), 0);
    assert_eq!(dir.read("dir/b"), b"content");
}

#[test]
fn a_file_that_is_removed_can_still_be_read() {
    let (dir, mut guest) = guest();
    dir.write("file", b"content");
    let fd = guest.open(3, "file", 0, READ, 0).unwrap();
    assert_eq!(guest.path_call("path_unlink_file", 3, "file"), 0);
    assert_eq!(guest.read(fd, 100), Ok(b"content".to_vec()));
}

#[test]
fn where_files_can_only_be_read_nothing_changes() {
    let dir = TempDir::new();
    dir.write("file", b"content");
    fs::create_dir(dir.join("dir")).unwrap();
    fs::create_dir(dir.join("rw")).unwrap();
    let before = fs::metadata(dir.join("file")).unwrap().modified().unwrap();
    let builder =
        Wasi::builder().dir(dir.path(), "/", DirAccess::ReadOnly).dir(dir.join("rw"), "rw", DirAccess::ReadWrite);
    let mut guest = Guest::new(&builder);
    assert_eq!(guest.open(3, "file", 0, READ | WRITE, 0), Err(errno::ROFS));
    assert_eq!(guest.open(3, "file", TRUNC, READ, 0), Err(errno::ROFS));
    assert_eq!(guest.open(3, "new", CREAT, READ, 0), Err(errno::ROFS));
    assert_eq!(guest.open(3, "file", CREAT | EXCL, READ, 0), Err(errno::EXIST));
    for (function, path) in
        [("path_create_directory", "new"), ("path_remove_directory", "dir"), ("path_unlink_file", "file")]
    {
        assert_eq!(guest.path_call(function, 3, path), errno::ROFS, "{function}");
    }
    for function in ["path_rename", "path_link", "path_symlink"] {
        assert_eq!(guest.two_paths(function, "file", "new"), errno::ROFS, "{function}");
    }
    // Nor by way of a directory that may be changed.
    guest.put(PATH, b"file");
    guest.put(OTHER_PATH, b"new");
    let (file, new) = ([PATH.into(), 4], [OTHER_PATH.into(), 3]);
    assert_eq!(guest.call("path_link", &[3, 0, file[0], file[1], 4, new[0], new[1]]), errno::ROFS);
    assert_eq!(guest.call("path_rename", &[3, file[0], file[1], 4, new[0], new[1]]), errno::ROFS);
    assert_eq!(guest.call("path_filestat_set_times", &[3, 1, file[0], file[1], 0, 0, 5]), errno::ROFS);
    assert_eq!(guest.call("fd_filestat_set_times", &[3, 0, 0, 5]), errno::ROFS);
    // What is opened in it is no better; reading is allowed, also with a wish to make what is there.
    let sub = guest.open(3, "dir", DIRECTORY, READ, 0).unwrap();
    assert_eq!(guest.path_call("path_create_directory", sub, "new"), errno::ROFS);
    let fd = guest.open(3, "file", CREAT, READ, 0).unwrap();
    assert_eq!((guest.read(fd, 100), guest.write(fd, b"x")), (Ok(b"content".to_vec()), Err(errno::BADF)));
    assert_eq!(guest.call("fd_filestat_set_times", &[fd.into(), 0, 0, 5]), errno::ROFS);
    assert_eq!(guest.call("fd_filestat_set_size", &[fd.into(), 0]), errno::BADF);
    assert_eq!(guest.call("fd_fdstat_get", &[3, OUT.into()]), 0);
    assert_eq!(guest.u64(OUT + 16) as i64 & (READ | WRITE), READ);
    assert_eq!(dir.read("file"), b"content");
    assert_eq!(fs::metadata(dir.join("file")).unwrap().modified().unwrap(), before);
}

#[test]
fn calls_on_files_cost_more_than_others() {
    let (dir, mut guest) = guest();
    dir.write("file", &[0; 1000]);
    let fd = guest.open(3, "file", 0, READ, 0).unwrap();
    guest.call("fd_tell", &[fd.into(), OUT.into()]);
    let tell = guest.used;
    guest.call("fd_renumber", &[fd.into(), fd.into()]);
    assert!(tell.minus(guest.used) >= Fuel(2_000), "{tell} and {}", guest.used);
    guest.read(fd, 0).unwrap();
    let nothing = guest.used;
    guest.read(fd, 1000).unwrap();
    assert_eq!(guest.used.minus(nothing), Fuel(1_000));
}

#[test]
fn there_is_an_end_to_descriptors() {
    let (dir, mut guest) = guest();
    dir.write("file", b"");
    for expected in 4..1024 {
        assert_eq!(guest.open(3, "file", 0, READ, 0), Ok(expected));
    }
    assert_eq!(guest.open(3, "new", CREAT, READ, 0), Err(errno::MFILE));
    assert!(!dir.join("new").exists());
    assert_eq!(guest.call("fd_close", &[500]), 0);
    assert_eq!(guest.open(3, "file", 0, READ, 0), Ok(500));
}

#[test]
fn the_older_name_has_its_own_numbers_and_layouts() {
    let dir = TempDir::new();
    dir.write("file", b"0123456789");
    let mut guest = Guest::under(UNSTABLE, &Wasi::builder().dir(dir.path(), "/", DirAccess::ReadWrite));
    let fd = guest.open(3, "file", 0, READ, 0).unwrap();
    // From where it is, from the end, from the beginning.
    assert_eq!(guest.seek(fd, 4, 2), Ok(4));
    assert_eq!(guest.seek(fd, 2, 0), Ok(6));
    assert_eq!(guest.seek(fd, -1, 1), Ok(9));
    assert_eq!(guest.read(fd, 5), Ok(b"9".to_vec()));
    // 32 bits of links, and everything behind them 8 bytes sooner.
    guest.put(OUT, &[0xff; 64]);
    assert_eq!(guest.call("fd_filestat_get", &[fd.into(), OUT.into()]), 0);
    assert_eq!((guest.get(OUT + 16, 1)[0], guest.u32(OUT + 20), guest.u64(OUT + 24)), (4, 1, 10));
    assert_eq!(guest.u64(OUT + 56), u64::MAX, "56 bytes and no more");
    assert_eq!(guest.list(3, 0, 4096).unwrap().len(), 3);
}
