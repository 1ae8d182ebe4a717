//! No path, link or rename leads out of a directory. A corpus of attempts: each is made with each function that takes a path, and what is outside is
//! compared before and after, byte by byte.

use super::*;
use std::collections::BTreeMap;
use std::os::unix::fs::symlink;

/// A directory with a secret beside it, and links in it that the host has made, or a guest before this one.
fn trap() -> TempDir {
    let dir = TempDir::new();
    fs::write(dir.0.join("secret"), b"secret").unwrap();
    fs::create_dir_all(dir.0.join("outside/deep")).unwrap();
    fs::write(dir.0.join("outside/deep/secret"), b"secret").unwrap();
    fs::create_dir_all(dir.join("a/b/c")).unwrap();
    dir.write("file", b"inside");
    for (says, link) in [
        ("../secret", "to-secret"),
        ("../outside", "to-outside"),
        ("..", "up"),
        ("../..", "a/up2"),
        ("up/secret", "chain"),
        ("chain", "chain2"),
        ("chain2", "a/../chain3"),
        ("a/b/c/../../../../secret", "long-way"),
        ("/", "root"),
        ("/etc/passwd", "absolute"),
        ("self", "self"),
        ("pong", "ping"),
        ("ping", "pong"),
        ("../inside/file", "out-and-in"),
        ("../new", "dangling"),
        ("nowhere", "dangling-inside"),
    ] {
        symlink(says, dir.join(link)).unwrap();
    }
    symlink(dir.0.join("secret"), dir.join("absolute-secret")).unwrap();
    dir
}

/// Paths that lead out, or would if they were taken in some naive way.
fn paths(dir: &TempDir) -> Vec<String> {
    let mut paths: Vec<String> = [
        "..",
        "../",
        "../.",
        "../secret",
        "./../secret",
        "a/../../secret",
        "a/b/c/../../../../secret",
        "a/b/../../../outside/deep/secret",
        "file/../../secret",
        "none/../../secret",
        ".//..//secret",
        "/",
        "//",
        "/etc/passwd",
        "//etc/passwd",
        "/../etc/passwd",
        "/proc/self/root/etc/passwd",
        "to-secret",
        "to-secret/",
        "to-secret/.",
        "to-outside",
        "to-outside/",
        "to-outside/deep/secret",
        "to-outside/new",
        "to-outside/../secret",
        "up/secret",
        "up/inside/file",
        "up/new",
        "a/up2/secret",
        "a/up2/outside/deep",
        "chain",
        "chain2",
        "chain3",
        "long-way",
        "root",
        "root/etc/passwd",
        "absolute",
        "absolute-secret",
        "self",
        "self/secret",
        "ping",
        "pong/secret",
        "out-and-in",
        "dangling",
        "dangling/",
        "up/../inside/../secret",
    ]
    .map(String::from)
    .into();
    paths.push(dir.0.join("secret").display().to_string());
    paths.push(dir.join("file").display().to_string());
    paths.push("../".repeat(1000) + "etc/passwd");
    paths.push("a/../".repeat(700) + "../secret");
    paths.push("a/".repeat(600) + &"../".repeat(601) + "secret");
    paths
}

/// Everything outside, with its content and the moment of its last change.
fn outside(dir: &TempDir) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut left = vec![dir.0.clone()];
    while let Some(path) = left.pop() {
        for entry in fs::read_dir(path).unwrap() {
            let entry = entry.unwrap();
            let (path, metadata) = (entry.path(), entry.metadata().unwrap());
            if path == dir.path() {
                continue;
            }
            if metadata.is_dir() {
                left.push(path.clone());
            }
            let content = fs::read(&path).unwrap_or_default();
            let modified = metadata.modified().unwrap();
            found.insert(path, format!("{:?} {modified:?} {content:?}", metadata.file_type()));
        }
    }
    found
}

/// What a descriptor of a file or directory gives away: that it must not be of anything outside.
fn assert_inside(guest: &mut Guest, dir: &TempDir, fd: u32, path: &str) {
    use std::os::unix::fs::MetadataExt;
    assert_eq!(guest.call("fd_filestat_get", &[fd.into(), OUT.into()]), 0);
    let inode = guest.u64(OUT + 8);
    let mut left = vec![dir.path()];
    let mut inodes = vec![fs::metadata(dir.path()).unwrap().ino()];
    while let Some(path) = left.pop() {
        for entry in fs::read_dir(path).unwrap().map(Result::unwrap) {
            inodes.push(entry.metadata().unwrap().ino());
            if entry.file_type().unwrap().is_dir() {
                left.push(entry.path());
            }
        }
    }
    assert!(inodes.contains(&inode), "{path} leads out");
    assert_eq!(guest.call("fd_close", &[fd.into()]), 0);
}

#[test]
fn nothing_outside_is_opened_seen_or_changed() {
    let dir = trap();
    let before = outside(&dir);
    let mut guest = Guest::in_dir(&dir, DirAccess::ReadWrite);
    for path in paths(&dir) {
        for follow in [0, 1] {
            for how in [0, CREAT, CREAT | EXCL, TRUNC, DIRECTORY, CREAT | TRUNC] {
                for rights in [0, READ, WRITE, READ | WRITE] {
                    if let Ok(fd) = guest.open_with(3, follow, &path, how, rights, 0) {
                        assert_inside(&mut guest, &dir, fd, &path);
                    }
                }
            }
            guest.put(PATH, path.as_bytes());
            let at = [PATH.into(), path.len() as i64];
            let stat = guest.call("path_filestat_get", &[3, follow, at[0], at[1], OUT.into()]);
            assert!(stat != 0 || guest.u64(OUT + 8) != 0);
            guest.call("path_filestat_set_times", &[3, follow, at[0], at[1], 1, 1, 5]);
        }
        guest.path_call("path_create_directory", 3, &path);
        guest.two_paths("path_link", &path, "stolen");
        guest.two_paths("path_link", "file", &path);
        guest.two_paths("path_symlink", "x", &path);
        assert_eq!(outside(&dir), before, "after {path}");
    }
}

#[test]
fn nothing_outside_is_moved_or_removed() {
    for path in paths(&trap()) {
        let dir = trap();
        let before = outside(&dir);
        let mut guest = Guest::in_dir(&dir, DirAccess::ReadWrite);
        guest.two_paths("path_rename", &path, "stolen");
        guest.two_paths("path_rename", "file", &path);
        guest.two_paths("path_rename", "a", &path);
        guest.path_call("path_remove_directory", 3, &path);
        guest.path_call("path_unlink_file", 3, &path);
        assert_eq!(outside(&dir), before, "after {path}");
        if let Ok(stolen) = fs::read(dir.join("stolen")) {
            // A link of the trap's, moved: what it says has not changed, and it still does not lead out.
            assert!(fs::symlink_metadata(dir.join("stolen")).unwrap().is_symlink() || stolen != b"secret", "{path}");
        }
        assert_eq!(guest.open(3, "stolen", 0, READ, 0).map(|fd| guest.read(fd, 100)), guest.stolen(&dir));
    }
}

impl Guest {
    /// What "stolen" may be read as: what it is, if that is inside; else not at all.
    fn stolen(&mut self, dir: &TempDir) -> Result<Result<Vec<u8>, i32>, i32> {
        let real = fs::canonicalize(dir.join("stolen"));
        let inside = real.is_ok_and(|real| real.starts_with(fs::canonicalize(dir.path()).unwrap()));
        match self.open(3, "stolen", 0, READ, 0) {
            Ok(fd) => {
                assert!(inside, "it leads out, and could be opened");
                Ok(self.read(fd, 100))
            }
            Err(errno) => Err(errno),
        }
    }
}

#[test]
fn the_ways_out_are_refused_by_name() {
    let dir = trap();
    let mut guest = Guest::in_dir(&dir, DirAccess::ReadWrite);
    for (path, expected) in [
        ("..", errno::PERM),
        ("../secret", errno::PERM),
        ("a/../../secret", errno::PERM),
        ("/etc/passwd", errno::PERM),
        ("to-secret", errno::PERM),
        ("up/secret", errno::PERM),
        ("chain3", errno::PERM),
        ("out-and-in", errno::PERM),
        ("absolute", errno::PERM),
        ("self", errno::LOOP),
        ("ping", errno::LOOP),
        ("none/../../secret", errno::NOENT),
        ("dangling-inside", errno::NOENT),
    ] {
        assert_eq!(guest.open(3, path, 0, READ, 0), Err(expected), "{path}");
    }
    // An absolute link cannot be made, nor read: what it says is a path of the host's.
    assert_eq!(guest.two_paths("path_symlink", "/etc", "new"), errno::PERM);
    guest.put(PATH, b"absolute");
    assert_eq!(guest.call("path_readlink", &[3, PATH.into(), 8, DATA.into(), 100, OUT.into()]), errno::PERM);
}

#[test]
fn links_that_a_guest_makes_lead_nowhere_outside() {
    let dir = trap();
    let before = outside(&dir);
    let mut guest = Guest::in_dir(&dir, DirAccess::ReadWrite);
    // It may say so; to follow it is refused. Moved to where it would be right, it is looked at anew.
    assert_eq!(guest.two_paths("path_symlink", "../secret", "a/mine"), 0);
    assert_eq!(guest.open(3, "a/mine", 0, READ, 0), Err(errno::NOENT), "there is no secret in here");
    assert_eq!(guest.two_paths("path_rename", "a/mine", "mine"), 0);
    assert_eq!(guest.open(3, "mine", 0, READ, 0), Err(errno::PERM));
    assert_eq!(guest.two_paths("path_link", "mine", "a/b/hard"), 0, "of the link itself");
    assert_eq!(guest.open(3, "a/b/hard", 0, READ, 0), Err(errno::NOENT));
    // A directory that is open does not become a way out when it is moved.
    let c = guest.open(3, "a/b/c", DIRECTORY, READ, 0).unwrap();
    assert_eq!(guest.two_paths("path_rename", "a/b/c", "c"), 0);
    assert_eq!(guest.open(c, "../../secret", 0, READ, 0), Err(errno::PERM));
    assert_eq!(guest.open(c, "../file", 0, READ, 0), Err(errno::PERM));
    assert_eq!(outside(&dir), before);
}

#[test]
fn names_that_are_none_are_refused_before_the_system_sees_them() {
    let dir = trap();
    let mut guest = Guest::in_dir(&dir, DirAccess::ReadWrite);
    let long = "x".repeat(4097);
    for (path, expected) in [
        (&b""[..], errno::NOENT),
        (b"file\0", errno::INVAL),
        (b"\0", errno::INVAL),
        (b"file\xff", errno::ILSEQ),
        (b"\xed\xa0\x80", errno::ILSEQ),
        (long.as_bytes(), errno::NAMETOOLONG),
        (&long.as_bytes()[..256], errno::NAMETOOLONG),
    ] {
        guest.put(PATH, path);
        let at = [PATH.into(), path.len() as i64];
        let what = String::from_utf8_lossy(path);
        assert_eq!(guest.call("path_open", &[3, 0, at[0], at[1], 0, READ, 0, 0, OUT.into()]), expected, "{what}");
        assert_eq!(guest.call("path_create_directory", &[3, at[0], at[1]]), expected, "{what}");
        assert_eq!(guest.call("path_unlink_file", &[3, at[0], at[1]]), expected, "{what}");
        assert_eq!(guest.call("path_filestat_get", &[3, 0, at[0], at[1], OUT.into()]), expected, "{what}");
        assert_eq!(guest.call("path_symlink", &[at[0], at[1], 3, at[0], at[1]]), expected, "{what}");
    }
}

#[test]
fn what_is_no_file_is_not_opened_and_holds_nobody_up() {
    let dir = trap();
    let fifo = dir.join("fifo");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status().expect("mkfifo is there");
    assert!(made.success());
    let _socket = std::os::unix::net::UnixListener::bind(dir.join("socket")).ok();
    let mut guest = Guest::in_dir(&dir, DirAccess::ReadWrite);
    // Nobody is at the other end of the FIFO: an open that waits would wait for ever.
    for rights in [0, READ, WRITE, READ | WRITE] {
        for how in [0, CREAT, TRUNC, DIRECTORY] {
            assert!(guest.open(3, "fifo", how, rights, 0).is_err(), "{how} {rights}");
            assert!(guest.open(3, "socket", how, rights, 0).is_err(), "{how} {rights}");
        }
    }
    assert_eq!(guest.open(3, "fifo", 0, READ, 0), Err(errno::ACCES));
    let mut guest = Guest::new(&Wasi::builder().dir("/dev", "/dev", DirAccess::ReadWrite));
    for device in ["null", "zero", "tty"] {
        assert!(guest.open(3, device, 0, READ, 0).is_err(), "{device}");
    }
}
