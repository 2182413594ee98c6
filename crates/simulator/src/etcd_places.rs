//! Where members of etcd have their data and their logs on a machine, and what becomes of them as directories are
//! deleted, moved and unmounted.

use std::collections::BTreeMap;
use std::mem::take;

use serde::{Deserialize, Serialize};
use windlass_model::{EtcdData, EtcdPlaces, FilePath, MemberId};

use crate::etcd::MemberData;
use crate::files::{is_under, moved};
use crate::process::EtcdWork;
use crate::world::Node;

/// The log of a member at a place of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MemberLog {
    pub(crate) cluster: u64,
    pub(crate) member: MemberId,
    /// The directory in which it was written.
    pub(crate) home: FilePath,
}

/// What an etcd that starts finds.
pub(crate) enum Found<'a> {
    /// Nothing, or data without its log, which it does not notice.
    NoLog,
    /// Its data and its log.
    Whole(&'a MemberData),
}

/// The directory with a member's database, below the one by which its data is known.
pub(crate) fn member_of(data: &FilePath) -> String {
    format!("{data}/member")
}

impl Node {
    /// What etcd finds at its places, or why it exits.
    pub(crate) fn found_by(&self, work: &EtcdWork) -> Result<Found<'_>, String> {
        let data = self.etcd_data.get(&work.data);
        let Some(place) = &work.log else {
            // `wal.Exist` of the directory below the data.
            return Ok(data.filter(|data| data.log.is_none()).map_or(Found::NoLog, Found::Whole));
        };
        match (data, self.etcd_logs.get(place)) {
            (_, None) => Ok(Found::NoLog),
            (None, Some(_)) => {
                Err("failed to recover v3 backend from snapshot: failed to find database snapshot \
                 file (snap: snapshot file doesn't exist)"
                    .to_owned())
            }
            (Some(data), Some(log)) if (data.cluster, data.member) == (log.cluster, log.member) => {
                Ok(Found::Whole(data))
            }
            (Some(_), Some(_)) => Err("the log is of another member than the database".to_owned()),
        }
    }

    /// etcd writes its data and its log.
    pub(crate) fn write_member(&mut self, data: MemberData) {
        let (cluster, member) = (data.cluster, data.member);
        if let Some(log) = &data.log {
            let home = log.clone();
            self.etcd_logs.insert(log.clone(), MemberLog { cluster, member, home });
        }
        self.etcd_data.insert(data.home.clone(), data);
    }

    /// Whether a member is at these places, as directories that are filled show it.
    pub(crate) fn etcd_at(&self, places: &EtcdPlaces) -> EtcdData {
        let data = self.etcd_data.get(&places.data);
        let has_log = match &places.log {
            None => data.is_some_and(|data| data.log.is_none()),
            Some(log) => self.etcd_logs.contains_key(log),
        };
        match (data.is_some(), has_log) {
            (true, true) => EtcdData::Present,
            (false, false) => EtcdData::Absent,
            _ => EtcdData::Incomplete,
        }
    }

    /// Whether data or a log of a member is in or below a directory.
    pub(crate) fn holds_etcd_under(&self, path: &str) -> bool {
        self.etcd_data.keys().any(|data| is_under(&member_of(data), path))
            || self.etcd_logs.keys().any(|log| is_under(log.as_str(), path))
    }

    /// Deletes what etcd has in the directories that go.
    pub(crate) fn delete_etcd(&mut self, goes: impl Fn(&str) -> bool) {
        self.etcd_data.retain(|data, _| !goes(&member_of(data)));
        self.etcd_logs.retain(|log, _| !goes(log.as_str()));
    }

    /// Moves everything of etcd in a directory.
    pub(crate) fn move_etcd(&mut self, path: &FilePath, to: &FilePath) {
        for (data, state) in take(&mut self.etcd_data) {
            let member = FilePath::from(member_of(&data));
            let place = if is_under(member.as_str(), path.as_str()) {
                let member = moved(&member, path, to);
                FilePath::from(member.as_str().strip_suffix("/member").unwrap_or(member.as_str()))
            } else {
                data
            };
            self.etcd_data.insert(place, state);
        }
        for (log, state) in take(&mut self.etcd_logs) {
            let place = if is_under(log.as_str(), path.as_str()) { moved(&log, path, to) } else { log };
            self.etcd_logs.insert(place, state);
        }
    }

    /// Takes everything of etcd that is on a disk.
    pub(crate) fn take_etcd_on(
        &mut self,
        disk: &FilePath,
    ) -> (BTreeMap<FilePath, MemberData>, BTreeMap<FilePath, MemberLog>) {
        let is_on = |path: &FilePath| is_under(path.as_str(), disk.as_str());
        let (data, rest) = take(&mut self.etcd_data).into_iter().partition(|(path, _)| is_on(path));
        self.etcd_data = rest;
        let (logs, rest) = take(&mut self.etcd_logs).into_iter().partition(|(path, _)| is_on(path));
        self.etcd_logs = rest;
        (data, logs)
    }

    /// Loses what members have where they wrote it.
    pub(crate) fn lose_members(&mut self) {
        let homes: Vec<MemberData> = self
            .etcd_data
            .iter()
            .filter(|(path, data)| **path == data.home)
            .map(|(_, data)| data.clone())
            .collect();
        for data in homes {
            self.etcd_data.remove(&data.home);
            self.etcd_logs.retain(|path, _| Some(path) != data.log.as_ref());
        }
    }
}
