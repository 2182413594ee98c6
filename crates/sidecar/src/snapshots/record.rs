//! What the process that takes periodic snapshots records about itself, for looks from outside.

use std::fs;
use std::io;
use std::path::Path;

use windlass_model::{CopiesJournal, FailedSnapshot, ROLLING_JOURNAL, RollingJournal, Timestamp};

use super::journal::log;
use super::proof::put;

/// The record of this process, as it is in its file.
#[derive(Debug)]
pub(crate) struct Record<'d> {
    directory: &'d Path,
    journal: RollingJournal,
}

impl<'d> Record<'d> {
    /// Begins one. Attempts that failed in a former process go on failing until one succeeds.
    pub(crate) fn begin(directory: &'d Path, keeps_copies: bool, now: Timestamp) -> Self {
        let former = recorded(directory).ok().flatten();
        let (failed, copies) = former.map(|former| (former.failed, former.copies)).unwrap_or_default();
        let copies = keeps_copies.then(|| copies.unwrap_or_default());
        let journal = RollingJournal { format: RollingJournal::FORMAT, started_at: now, failed, copies };
        let record = Self { directory, journal };
        record.write();
        record
    }

    /// An attempt has succeeded.
    pub(crate) fn succeeded(&mut self) {
        if self.journal.failed.take().is_some() {
            self.write();
        }
    }

    /// An attempt has failed.
    pub(crate) fn failed(&mut self, why: &str, now: Timestamp) {
        let since = self.journal.failed.as_ref().map_or(now, |failed| failed.since);
        self.journal.failed = Some(FailedSnapshot { since, why: why.to_owned() });
        self.write();
    }

    /// The bucket has copies of all snapshots; the newest is this one.
    pub(crate) fn copied(&mut self, newest: Option<String>) {
        let copies = Some(CopiesJournal { newest, failed: None });
        if self.journal.copies != copies {
            self.journal.copies = copies;
            self.write();
        }
    }

    /// An attempt to copy has failed.
    pub(crate) fn not_copied(&mut self, why: &str, now: Timestamp) {
        let copies = self.journal.copies.get_or_insert_default();
        let since = copies.failed.as_ref().map_or(now, |failed| failed.since);
        copies.failed = Some(FailedSnapshot { since, why: why.to_owned() });
        self.write();
    }

    fn write(&self) {
        let mut line = serde_json::to_vec(&self.journal).unwrap_or_default();
        line.push(b'\n');
        if let Err(error) = put(&self.directory.join(ROLLING_JOURNAL), line) {
            // Without it snapshots are taken all the same; the age of the newest shows whether they are.
            log(&format!("`{ROLLING_JOURNAL}` cannot be written: {error}"));
        }
    }
}

/// What was recorded in a directory; none where nothing was, or nothing of a known format.
pub(crate) fn recorded(directory: &Path) -> io::Result<Option<RollingJournal>> {
    match fs::read(directory.join(ROLLING_JOURNAL)) {
        Ok(line) => {
            let journal: Option<RollingJournal> = serde_json::from_slice(&line).ok();
            Ok(journal.filter(|journal| journal.format == RollingJournal::FORMAT))
        }
        Err(error) if crate::look::is_absent(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_recorded_from_the_first_on_and_across_processes() {
        let directory = tempfile::tempdir().unwrap();
        let at = |seconds| Timestamp(seconds);
        let failed = || recorded(directory.path()).unwrap().and_then(|journal| journal.failed);
        let mut record = Record::begin(directory.path(), false, at(1));
        assert_eq!(failed(), None);
        record.failed("no room", at(2));
        record.failed("no room at all", at(3));
        let expected = FailedSnapshot { since: at(2), why: "no room at all".to_owned() };
        assert_eq!(failed(), Some(expected.clone()));
        let mut record = Record::begin(directory.path(), true, at(9));
        assert_eq!(failed(), Some(expected));
        record.succeeded();
        let journal = recorded(directory.path()).unwrap().unwrap();
        assert_eq!((journal.started_at, journal.failed), (at(9), None));

        let copies = || recorded(directory.path()).unwrap().and_then(|journal| journal.copies);
        record.not_copied("no route", at(10));
        record.not_copied("refused", at(11));
        let failed = FailedSnapshot { since: at(10), why: "refused".to_owned() };
        let mut record = Record::begin(directory.path(), true, at(12));
        assert_eq!(copies(), Some(CopiesJournal { newest: None, failed: Some(failed) }));
        record.copied(Some("x_etcd.db".to_owned()));
        assert_eq!(copies(), Some(CopiesJournal { newest: Some("x_etcd.db".to_owned()), failed: None }));
        Record::begin(directory.path(), false, at(13));
        assert_eq!(copies(), None, "no copies are kept any more");
    }
}
