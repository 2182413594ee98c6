//! Where a member of etcd keeps its data and its log on a node.

use serde::{Deserialize, Serialize};

use crate::container::ContainerSpec;
use crate::names::FilePath;

/// The name of the file beside the data of a member of etcd, which only the disk with the data has.
const BESIDE_DATA: &str = "member/windlass";
/// The name of the file beside a log at a place of its own. It is not in the log's directory: etcd replaces that
/// directory, and all in it, when it creates the log.
const BESIDE_LOG: &str = "windlass-etcd-log";

/// The directories of a member of etcd on its node, as its flags say through its mounts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct EtcdPlaces {
    /// The directory of `--data-dir`: the data is in `member` below it.
    pub data: FilePath,
    /// The directory of `--wal-dir`; none where the log is with the data, in `member/wal`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<FilePath>,
}

impl EtcdPlaces {
    /// The places of a member with this container; none where one of them is not on the node.
    pub fn of(spec: &ContainerSpec) -> Option<Self> {
        let data = spec.on_node(spec.flag("data-dir")?)?;
        // etcd reads the variable where the flag is missing (`SetPflagsFromEnv` of `pkg/flags`).
        let log = spec.flag("wal-dir").or_else(|| spec.env.get("ETCD_WAL_DIR").map(|value| &**value));
        let log = match log.filter(|path| !path.is_empty()) {
            Some(path) => Some(spec.on_node(path)?),
            None => None,
        };
        let with_data = FilePath::from(format!("{data}/member/wal"));
        // A disk within the data is known by no path that all of it has.
        let snap = spec.on_node(&format!("{}/member/snap", spec.flag("data-dir")?))?;
        if snap.as_str() != format!("{data}/member/snap") {
            return None;
        }
        let is_of_node = |path: &FilePath| path.as_str().starts_with('/');
        let places = Self { data, log: log.filter(|log| *log != with_data) };
        (is_of_node(&places.data) && places.log.as_ref().is_none_or(is_of_node)).then_some(places)
    }

    /// Whether they are where they are without a word in cluster.yml, under whatever prefix.
    pub fn are_usual(&self) -> bool {
        self.log.is_none() && self.is_data_usual()
    }

    fn is_data_usual(&self) -> bool {
        self.data.as_str().ends_with("/var/lib/etcd")
    }

    /// The directory with the files of the log.
    pub fn wal(&self) -> FilePath {
        self.log.clone().unwrap_or_else(|| FilePath::from(format!("{}/member/wal", self.data)))
    }

    /// The directory with the database and the snapshots of the log.
    pub fn snap(&self) -> FilePath {
        FilePath::from(format!("{}/member/snap", self.data))
    }

    /// The directories that are moved aside and deleted with the member.
    ///
    /// The usual one is windlass' own. In one that somebody chose there may be other things: there only `member` counts. That
    /// of the log is etcd's own, which deletes it when it creates its log.
    pub fn directories(&self) -> Vec<FilePath> {
        let data = if self.is_data_usual() {
            self.data.clone()
        } else {
            FilePath::from(format!("{}/member", self.data))
        };
        let log = self.log.clone().filter(|log| !is_within(log, &data));
        [data].into_iter().chain(log).collect()
    }

    /// Whether a member lives there, from which directories have anything in them.
    pub fn hold(&self, is_filled: impl Fn(&FilePath) -> bool) -> EtcdData {
        match (is_filled(&self.snap()), is_filled(&self.wal())) {
            (false, false) => EtcdData::Absent,
            (true, true) => EtcdData::Present,
            // etcd makes both at once; what lies in one directory is lost or kept as one.
            (false, true) if self.log.is_none() => EtcdData::Present,
            _ => EtcdData::Incomplete,
        }
    }

    /// The file that only the disk with the data has.
    pub fn beside_data(&self) -> FilePath {
        FilePath::from(format!("{}/{BESIDE_DATA}", self.data))
    }

    /// The file that only the disk with the log has; none where that is the disk with the data.
    pub fn beside_log(&self) -> Option<FilePath> {
        let parent = self.log.as_ref()?.as_str().rsplit_once('/')?.0;
        (parent != self.data.as_str()).then(|| FilePath::from(format!("{parent}/{BESIDE_LOG}")))
    }
}

/// A member of etcd at other places than those in cluster.yml.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EtcdElsewhere {
    /// The places.
    pub places: EtcdPlaces,
    /// Whether they hold a member.
    pub data: EtcdData,
}

/// Whether a node holds a member's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EtcdData {
    /// There is nothing of a member.
    #[default]
    Absent,
    /// There are the database and the write-ahead log of a member.
    Present,
    /// There is one of the two: the other is lost, or its disk is missing. No etcd may start on that.
    Incomplete,
}

/// The directory beside one of etcd into which what former members left there is moved; one directory each time.
pub fn aside_of(directory: &FilePath) -> FilePath {
    FilePath::from(format!("{directory}-aside"))
}

fn is_within(path: &FilePath, directory: &FilePath) -> bool {
    path.as_str()
        .strip_prefix(directory.as_str())
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl std::fmt::Display for EtcdPlaces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.log {
            None => write!(f, "{}", self.data),
            Some(log) => write!(f, "{} with the log in {log}", self.data),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use super::*;
    use crate::ciphers::Ciphers;
    use crate::container::{PidMode, Privilege};

    fn spec(flags: &[&str], env: &[(&str, &str)], binds: &[&str]) -> ContainerSpec {
        ContainerSpec {
            image: "x".into(),
            command: flags.iter().copied().map(Arc::from).collect(),
            env: env.iter().map(|(name, value)| (Arc::from(*name), Arc::from(*value))).collect(),
            binds: binds.iter().copied().map(Arc::from).collect(),
            pid: PidMode::Own,
            privilege: Privilege::Confined,
            user: None,
            reads: BTreeMap::new(),
            ciphers: Ciphers::default(),
            version: None,
        }
    }

    fn shown(flags: &[&str], env: &[(&str, &str)], binds: &[&str]) -> String {
        EtcdPlaces::of(&spec(flags, env, binds)).map_or("none".to_owned(), |places| places.to_string())
    }

    const USUAL: &str = "/var/lib/etcd:/var/lib/rancher/etcd/:z";

    #[test]
    fn flags_and_variables_lead_through_the_mounts() {
        let data = "--data-dir=/var/lib/rancher/etcd/";
        assert_eq!(shown(&[data], &[], &[USUAL]), "/var/lib/etcd");
        assert_eq!(
            shown(&[data, "--wal-dir=/var/lib/rancher/etcd/member/wal/"], &[], &[USUAL]),
            "/var/lib/etcd"
        );
        assert_eq!(
            shown(&[data], &[("ETCD_WAL_DIR", "/wal//x/../log")], &[USUAL, "/mnt/ssd:/wal"]),
            "/var/lib/etcd with the log in /mnt/ssd/log"
        );
        assert_eq!(
            shown(&[data, "--wal-dir=/wal"], &[], &[USUAL]),
            "none",
            "the log is in the container alone"
        );
        assert_eq!(shown(&["--data-dir=/data"], &[], &[USUAL]), "none");
        assert_eq!(shown(&[data], &[], &[USUAL, "/mnt/ssd:/var/lib/rancher/etcd/member"]), "none");
    }

    #[test]
    fn two_disks_as_rancher_documents_them() {
        let places = EtcdPlaces::of(&spec(
            &["--data-dir=/var/lib/rancher/etcd/data/", "--wal-dir=/var/lib/rancher/etcd/wal/wal_dir"],
            &[],
            &[
                USUAL,
                "/var/lib/etcd/data:/var/lib/rancher/etcd/data:z",
                "/var/lib/etcd/wal:/var/lib/rancher/etcd/wal:z",
            ],
        ))
        .unwrap();
        assert_eq!(places.to_string(), "/var/lib/etcd/data with the log in /var/lib/etcd/wal/wal_dir");
        let directories = places.directories();
        assert_eq!(
            directories,
            ["/var/lib/etcd/data/member", "/var/lib/etcd/wal/wal_dir"].map(FilePath::from)
        );
        assert_eq!(places.beside_data().as_str(), "/var/lib/etcd/data/member/windlass");
        assert_eq!(places.beside_log().unwrap().as_str(), "/var/lib/etcd/wal/windlass-etcd-log");
        let filled = |all: &[&str]| places.hold(|path| all.contains(&path.as_str()));
        let (snap, wal) = ("/var/lib/etcd/data/member/snap", "/var/lib/etcd/wal/wal_dir");
        assert_eq!(filled(&[]), EtcdData::Absent);
        assert_eq!(filled(&[snap, wal]), EtcdData::Present);
        assert_eq!(filled(&[snap]), EtcdData::Incomplete, "the log is lost, or its disk is not mounted");
        assert_eq!(filled(&[wal]), EtcdData::Incomplete);
    }

    #[test]
    fn a_database_without_its_log_is_not_nothing() {
        let usual = EtcdPlaces { data: "/var/lib/etcd".into(), log: None };
        let filled = |all: &[&str]| usual.hold(|path| all.contains(&path.as_str()));
        let (snap, wal) = ("/var/lib/etcd/member/snap", "/var/lib/etcd/member/wal");
        assert_eq!(filled(&[snap]), EtcdData::Incomplete);
        assert_eq!(filled(&[wal]), EtcdData::Present);
        assert_eq!(usual.directories(), [FilePath::from("/var/lib/etcd")]);
        assert_eq!(usual.beside_log(), None);
    }
}
