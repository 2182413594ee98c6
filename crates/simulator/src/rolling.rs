//! Periodic snapshots of etcd on simulated machines: one at once, then one in each interval, as long as the
//! process that takes them runs, its member answers, and nothing keeps it from it.

use serde::{Deserialize, Serialize};
use windlass_model::{
    Component, CopiesJournal, Digest, FailedSnapshot, RollingJournal, RollingSeen, SnapshotProof,
    SnapshotSeen, SnapshotState, Timestamp, rolling_interval, rolling_name,
};

use crate::etcd::Boot;
use crate::world::{Disk, World};

/// The size of each.
const BYTES: u64 = 65_536;

/// The periodic snapshots of a machine.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Rolling {
    /// When the newest was taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) newest: Option<Timestamp>,
    /// Why the newest is damaged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) damaged: Option<String>,
    /// Since when attempts fail, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) failed: Option<FailedSnapshot>,
    /// What keeps all attempts from succeeding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) obstacle: Option<String>,
    /// The container that takes them, by its number, and when its process started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) process: Option<(u64, Timestamp)>,
}

/// One that was read back when it was taken.
fn read_back(at: Timestamp) -> SnapshotState {
    SnapshotState::Proven(Box::new(SnapshotProof {
        format: SnapshotProof::FORMAT,
        sha256: Digest::of(at.to_string()),
        bytes: BYTES,
        revision: 1,
        keys: 1,
        keys_by_prefix: [].into(),
        etcd: None,
        kubernetes: None,
        ledger_serial: None,
        members: Vec::new(),
        member: None,
        authority: None,
        endpoint: None,
        taken_at: Some(at),
        archive_bytes: None,
        checked_at: at,
    }))
}

impl World {
    /// Takes the snapshots that were due until now.
    pub(crate) fn take_due_snapshots(&mut self) {
        for machine in 0..self.nodes.len() {
            self.take_due_snapshot(machine);
        }
    }

    fn take_due_snapshot(&mut self, machine: usize) {
        let now = self.time();
        let component = Component::EtcdRollingSnapshots;
        let Some(container) = self.able_component(machine, component, &mut u64::MAX.clone()) else { return };
        let (number, every) = (container.number, rolling_interval(&container.spec));
        let obstacle = self.nodes[machine].rolling.obstacle.clone();
        let obstacle = obstacle.or_else(|| self.obstacle_to_snapshots(machine));
        let rolling = &mut self.nodes[machine].rolling;
        if rolling.process.is_none_or(|(of, _)| of != number) {
            rolling.process = Some((number, now));
        }
        let Some(every) = every else { return };
        let due = rolling.newest.map_or(now, |newest| newest.plus_seconds(every));
        if due > now {
            return;
        }
        if let Some(why) = obstacle {
            let since = rolling.failed.as_ref().map_or(due, |failed| failed.since);
            rolling.failed = Some(FailedSnapshot { since, why });
        } else {
            let intervals = now.seconds_since(due) / every;
            rolling.newest = Some(due.plus_seconds(intervals * every));
            rolling.failed = None;
            rolling.damaged = None;
        }
    }

    fn obstacle_to_snapshots(&self, machine: usize) -> Option<String> {
        if self.nodes[machine].disk == Disk::Full {
            return Some("no space left on device".to_owned());
        }
        // A member gives snapshots of its own data, with a majority or without.
        let answers = self
            .etcd_work(machine)
            .is_some_and(|(_, boot, ready_at)| matches!(boot, Boot::Member { .. }) && ready_at <= self.now);
        (!answers).then(|| "the member does not answer".to_owned())
    }

    /// How their copies fare: all are there, unless the bucket does not answer.
    fn copies_of(&self, machine: usize) -> Option<CopiesJournal> {
        let container = self.nodes[machine].running(Component::EtcdRollingSnapshots)?;
        container.spec.flag("bucket")?;
        let newest = self.nodes[machine].rolling.newest.map(rolling_name);
        let why = "error sending request: connection refused".to_owned();
        let failed = self.bucket.down_since.map(|since| FailedSnapshot { since, why });
        Some(CopiesJournal { newest, failed })
    }

    /// What a look finds of them; none where there is no directory for them.
    pub(crate) fn rolling(&mut self, machine: usize) -> Option<RollingSeen> {
        self.take_due_snapshot(machine);
        let Rolling { newest, damaged, failed, obstacle: _, process } = &self.nodes[machine].rolling;
        if newest.is_none() && process.is_none() {
            return None;
        }
        let newest = newest.map(|at| SnapshotSeen {
            name: rolling_name(at),
            bytes: BYTES,
            written_at: at,
            state: damaged.clone().map_or_else(|| read_back(at), SnapshotState::Damaged),
        });
        let journal = process.map(|(_, started_at)| RollingJournal {
            format: RollingJournal::FORMAT,
            started_at,
            failed: failed.clone(),
            copies: self.copies_of(machine),
        });
        Some(RollingSeen { newest, journal })
    }
}
