//! A guest's memory as its host sees it during one call: every address and every length is the guest's word, and is checked.
//!
//! What is out of bounds is `EFAULT`, never a panic. What a guest can ask for at once is limited before anything is allocated: so many pieces of a
//! vector, so many bytes of a transfer, so many of a path.

use super::abi::Errno;
use std::ops::Range;

/// The most pieces of a vectored read or write, as on Linux.
const MOST_PIECES: u32 = 1024;

/// The most bytes that one read or write moves. A longer one is cut, which WASI allows, so that no call holds up the host.
pub(super) const LARGEST_TRANSFER: usize = 64 << 10;

/// The longest path, in bytes, as on Linux.
const LONGEST_PATH: u32 = 4096;

/// The memory, for the time of one call.
pub(super) struct Memory<'a>(pub(super) &'a mut [u8]);

/// Where the pieces of a vectored read or write lie. They are within the memory, and [`LARGEST_TRANSFER`] bytes at most.
pub(super) struct Pieces {
    /// The pieces.
    ranges: Vec<Range<usize>>,
    /// Their length in all.
    pub(super) len: usize,
}

impl Memory<'_> {
    /// The bytes that begin there.
    pub(super) fn bytes(&self, at: u32, len: u32) -> Result<&[u8], Errno> {
        self.0.get(range(at, len)).ok_or(Errno::Fault)
    }

    /// The bytes that begin there, to be written.
    pub(super) fn bytes_mut(&mut self, at: u32, len: u32) -> Result<&mut [u8], Errno> {
        self.0.get_mut(range(at, len)).ok_or(Errno::Fault)
    }

    /// Writes these bytes.
    pub(super) fn write(&mut self, at: u32, bytes: &[u8]) -> Result<(), Errno> {
        let len = u32::try_from(bytes.len()).map_err(|_| Errno::Overflow)?;
        self.bytes_mut(at, len)?.copy_from_slice(bytes);
        Ok(())
    }

    /// Writes a number of 32 bits.
    pub(super) fn write_u32(&mut self, at: u32, number: u32) -> Result<(), Errno> {
        self.write(at, &number.to_le_bytes())
    }

    /// Writes a number of 64 bits.
    pub(super) fn write_u64(&mut self, at: u32, number: u64) -> Result<(), Errno> {
        self.write(at, &number.to_le_bytes())
    }

    /// Reads a path: UTF-8, without NUL, not too long.
    pub(super) fn path(&self, at: u32, len: u32) -> Result<String, Errno> {
        if len > LONGEST_PATH {
            return Err(Errno::Nametoolong);
        }
        let path = std::str::from_utf8(self.bytes(at, len)?).map_err(|_| Errno::Ilseq)?;
        match path {
            "" => Err(Errno::Noent),
            path if path.contains('\0') => Err(Errno::Inval),
            path => Ok(path.into()),
        }
    }

    /// The pieces of a vectored transfer: `count` pairs of address and length.
    pub(super) fn pieces(&self, at: u32, count: u32) -> Result<Pieces, Errno> {
        if count > MOST_PIECES {
            return Err(Errno::Inval);
        }
        let mut pieces = Pieces { ranges: Vec::new(), len: 0 };
        for pair in self.bytes(at, count * 8)?.chunks_exact(8) {
            let [a, b, c, d, e, f, g, h] = *pair else { return Err(Errno::Fault) };
            let range = range(u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
            if range.end > self.0.len() {
                return Err(Errno::Fault);
            }
            let len = range.len().min(LARGEST_TRANSFER - pieces.len);
            pieces.len += len;
            pieces.ranges.push(range.start..range.start + len);
        }
        Ok(pieces)
    }

    /// What is in the pieces.
    pub(super) fn gather(&self, pieces: &Pieces) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(pieces.len);
        for range in &pieces.ranges {
            bytes.extend_from_slice(self.0.get(range.clone()).unwrap_or_default());
        }
        bytes
    }

    /// Fills the pieces, the first ones first. Pieces that overlap are written one after the other.
    pub(super) fn scatter(&mut self, pieces: &Pieces, mut bytes: &[u8]) {
        for range in &pieces.ranges {
            let (now, rest) = bytes.split_at(range.len().min(bytes.len()));
            if let Some(place) = self.0.get_mut(range.start..range.start + now.len()) {
                place.copy_from_slice(now);
            }
            bytes = rest;
        }
    }
}

/// From there so many bytes: no sum of two numbers of 32 bits overflows.
fn range(at: u32, len: u32) -> Range<usize> {
    let start = at as usize;
    start..start.saturating_add(len as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A memory of 32 bytes, each its own address, with `words` at address 0.
    fn memory(words: &[u32]) -> Vec<u8> {
        let mut bytes: Vec<u8> = (0..32).collect();
        for (place, word) in bytes.chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    #[test]
    fn addresses_are_checked_to_the_last_byte() {
        let mut bytes = memory(&[]);
        let mut memory = Memory(&mut bytes);
        assert_eq!(memory.bytes(31, 1), Ok(&[31][..]));
        assert_eq!(memory.bytes(32, 0), Ok(&[][..]));
        assert_eq!(memory.bytes(32, 1), Err(Errno::Fault));
        assert_eq!(memory.bytes(33, 0), Err(Errno::Fault));
        assert_eq!(memory.bytes(u32::MAX, u32::MAX), Err(Errno::Fault));
        assert_eq!(memory.write_u32(29, 0), Err(Errno::Fault));
        assert_eq!(memory.write_u32(28, 0), Ok(()));
        assert_eq!(memory.bytes_mut(0, u32::MAX).err(), Some(Errno::Fault));
    }

    #[test]
    fn a_path_is_short_and_text() {
        let mut bytes = memory(&[]);
        bytes[16..20].copy_from_slice(b"a/\xffb");
        let memory = Memory(&mut bytes);
        assert_eq!(memory.path(16, 2), Ok("a/".into()));
        assert_eq!(memory.path(16, 4), Err(Errno::Ilseq));
        assert_eq!(memory.path(0, 1), Err(Errno::Inval), "NUL");
        assert_eq!(memory.path(16, 0), Err(Errno::Noent));
        assert_eq!(memory.path(u32::MAX, 4), Err(Errno::Fault));
        assert_eq!(memory.path(16, 4097), Err(Errno::Nametoolong), "before it is looked for");
    }

    #[test]
    fn pieces_may_overlap_and_may_not_leave_the_memory() {
        let mut bytes = memory(&[24, 4, 26, 4, 32, 0]);
        let mut memory = Memory(&mut bytes);
        let pieces = memory.pieces(0, 3).unwrap();
        assert_eq!((pieces.len, memory.gather(&pieces)), (8, vec![24, 25, 26, 27, 26, 27, 28, 29]));
        memory.scatter(&pieces, b"abcdef");
        assert_eq!(&memory.0[24..32], b"abef\x1c\x1d\x1e\x1f", "the later piece wins");
        for (at, count, errno) in [(28, 1, Errno::Fault), (0, 1025, Errno::Inval), (0, u32::MAX, Errno::Inval)] {
            assert_eq!(memory.pieces(at, count).err(), Some(errno));
        }
        let mut bytes = self::memory(&[0, 33]);
        assert_eq!(Memory(&mut bytes).pieces(0, 1).err(), Some(Errno::Fault));
        let mut bytes = self::memory(&[u32::MAX, u32::MAX]);
        assert_eq!(Memory(&mut bytes).pieces(0, 1).err(), Some(Errno::Fault));
    }

    #[test]
    fn a_large_transfer_is_cut() {
        let mut bytes = vec![0; 4 << 20];
        for piece in bytes[..8 * 1024].chunks_exact_mut(8) {
            piece[4..8].copy_from_slice(&100_u32.to_le_bytes());
        }
        let pieces = Memory(&mut bytes).pieces(0, 1024).unwrap();
        assert_eq!(pieces.len, LARGEST_TRANSFER);
        assert_eq!(pieces.ranges.iter().map(ExactSizeIterator::len).sum::<usize>(), LARGEST_TRANSFER);
    }
}
