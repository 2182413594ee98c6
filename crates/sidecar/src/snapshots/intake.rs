//! Checks a snapshot while it arrives: the digest that etcd appends, its size, its beginning.

use sha2::{Digest as _, Sha256};

const DIGEST: usize = 32;
/// etcd's database consists of whole pages; the smallest page size of any machine is a multiple of this.
/// `etcdctl snapshot status` uses the same number to decide whether a digest follows.
const BLOCK: u64 = 512;
/// bbolt's magic number, in the first page after its header of 16 bytes.
const MAGIC: [u8; 4] = 0xED0C_DAED_u32.to_le_bytes();
const MAGIC_AT: usize = 16;

/// Whether a file with this beginning is a database, as far as that shows.
pub(crate) fn begins_as_database(beginning: &[u8]) -> bool {
    beginning.get(MAGIC_AT..MAGIC_AT + MAGIC.len()) == Some(MAGIC.as_slice())
}

/// Why the received bytes are not a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotASnapshot {
    #[error("the snapshot ends after {bytes} bytes with {missing} still to come")]
    Truncated { bytes: u64, missing: u64 },
    #[error("a snapshot of {bytes} bytes is no database with a digest behind it")]
    Size { bytes: u64 },
    #[error("the snapshot does not begin as a database does")]
    NoDatabase,
    #[error("the snapshot is damaged: its digest is another than the one that etcd sent")]
    Damaged,
}

/// The received part of a snapshot.
#[derive(Default)]
pub(crate) struct Intake {
    digest: Sha256,
    bytes: u64,
    beginning: Vec<u8>,
    /// The last bytes: the digest, if nothing more follows.
    end: Vec<u8>,
    announced: u64,
}

impl Intake {
    /// Adds a piece, with the number of bytes that should follow it.
    pub(crate) fn take(&mut self, piece: &[u8], remaining: u64) {
        self.bytes += piece.len() as u64;
        self.announced = remaining;
        let wanted = (MAGIC_AT + MAGIC.len()).saturating_sub(self.beginning.len());
        self.beginning.extend(piece.iter().take(wanted));
        self.end.extend_from_slice(piece);
        let settled = self.end.len().saturating_sub(DIGEST);
        self.digest.update(&self.end[..settled]);
        self.end.drain(..settled);
    }

    /// The size of the whole, if it is a snapshot.
    pub(crate) fn finish(self) -> Result<u64, NotASnapshot> {
        let Self { digest, bytes, beginning, end, announced } = self;
        if announced > 0 {
            return Err(NotASnapshot::Truncated { bytes, missing: announced });
        }
        if bytes <= DIGEST as u64 || bytes % BLOCK != DIGEST as u64 {
            return Err(NotASnapshot::Size { bytes });
        }
        if beginning.get(MAGIC_AT..) != Some(MAGIC.as_slice()) {
            return Err(NotASnapshot::NoDatabase);
        }
        if digest.finalize().as_slice() == end { Ok(bytes) } else { Err(NotASnapshot::Damaged) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A database of this many blocks, and what etcd sends for it.
    fn sent(blocks: usize) -> Vec<u8> {
        let mut bytes: Vec<u8> = (0..blocks * 512).map(|at| u8::try_from(at % 251).unwrap()).collect();
        bytes[MAGIC_AT..MAGIC_AT + 4].copy_from_slice(&MAGIC);
        let digest = Sha256::digest(&bytes);
        bytes.extend_from_slice(&digest);
        bytes
    }

    fn taken(bytes: &[u8], piece: usize) -> Result<u64, NotASnapshot> {
        let mut intake = Intake::default();
        for piece in bytes.chunks(piece) {
            intake.take(piece, 0);
        }
        intake.finish()
    }

    #[test]
    fn a_whole_snapshot_is_one_however_it_is_cut() {
        let bytes = sent(8);
        for piece in [1, 7, 31, 32, 33, 512, 4_096, 1 << 20] {
            assert_eq!(taken(&bytes, piece), Ok(8 * 512 + 32), "{piece}");
        }
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let bytes = sent(1);
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let expected = match at {
                16..20 => NotASnapshot::NoDatabase,
                _ => NotASnapshot::Damaged,
            };
            assert_eq!(taken(&changed, 100), Err(expected), "{at}");
        }
    }

    #[test]
    fn what_is_cut_off_or_too_long_is_noticed() {
        let bytes = sent(2);
        for length in (0..bytes.len()).filter(|length| *length != 32) {
            assert!(taken(&bytes[..length], 64).is_err(), "{length}");
        }
        assert_eq!(taken(&[bytes.as_slice(), b"x"].concat(), 64), Err(NotASnapshot::Size { bytes: 1_057 }));
        assert_eq!(taken(&[], 64), Err(NotASnapshot::Size { bytes: 0 }));
        let mut intake = Intake::default();
        intake.take(&bytes, 9);
        assert_eq!(intake.finish(), Err(NotASnapshot::Truncated { bytes: 1_056, missing: 9 }));
    }
}
