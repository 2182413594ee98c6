//! The names of snapshots, and which of them are the periodic ones.
//!
//! RKE 1 calls its files `2026-01-31T12:00:00Z_etcd`, some with the suffix `.zip`. Periodic ones here are
//! called `2026-01-31T12-00-00Z_etcd.db` ([`windlass_model::rolling_name`]): those of RKE 1 never count as ours,
//! and no `:` confuses `scp`.

use std::path::Path;

use windlass_model::{Timestamp, rolling_moment};

/// The extension of snapshots on request.
const EXTENSION: &str = ".db";

/// The file of a snapshot that was requested by name.
///
/// # Errors
/// The name contains a path, is hidden, or is one that would be deleted later as a periodic one.
pub(crate) fn requested(name: &str) -> Result<String, &'static str> {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || "-_.+".contains(letter);
    if name.is_empty() || name.len() > 200 || !name.chars().all(allowed) || name.starts_with(['.', '-']) {
        return Err("a snapshot's name is made of letters, digits and `-_.+`, and begins with none of `.-`");
    }
    let file = format!("{}{EXTENSION}", name.strip_suffix(EXTENSION).unwrap_or(name));
    if rolling_moment(&file).is_some() {
        return Err("snapshots of this name belong to the timer, which deletes them when they are old");
    }
    Ok(file)
}

/// The times of all periodic snapshots in a directory, oldest first.
pub(crate) fn moments_in(directory: &Path) -> std::io::Result<Vec<Timestamp>> {
    let mut moments = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if let Some(moment) = entry.file_name().to_str().and_then(rolling_moment)
            && entry.file_type()?.is_file()
        {
            moments.push(moment);
        }
    }
    moments.sort_unstable();
    Ok(moments)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_requested_name_stays_in_the_directory_and_off_the_timers_ground() {
        assert_eq!(requested("before-1.30.5"), Ok("before-1.30.5.db".to_owned()));
        assert_eq!(requested("mine.db"), Ok("mine.db".to_owned()));
        for wrong in ["", "..", ".hidden", "-x", "a/b", "a b", "a:b", "ä", "2026-01-31T12-00-00Z_etcd"] {
            assert!(requested(wrong).is_err(), "{wrong}");
        }
    }
}
