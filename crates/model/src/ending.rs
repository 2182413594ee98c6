//! How an etcd that exits again and again has ended, and whether its own log shows that it can never recover.

use serde::{Deserialize, Serialize};

/// The end of a run of a container, from its log.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Ending {
    /// Whether it can recover.
    pub outlook: Outlook,
    /// The most informative line of the log; without control characters, and not longer than a line or two of
    /// a terminal.
    pub said: String,
}

/// Whether a member of etcd that ended can run again as the member that it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outlook {
    /// Nothing shows that it cannot: a full disk, a port that is taken and a missing file can be repaired.
    Open,
    /// Its peers have removed it from the cluster.
    Removed,
    /// Its data cannot be read, or lacks what it had acknowledged.
    DataUnusable,
}

/// What etcd logs when it can never recover as the member that it was, in lower case.
///
/// Sources: `server/etcdserver/errors.go` and `api/rafthttp/http.go` ("the member has been permanently removed"),
/// `server/etcdserver/bootstrap.go` ("has already been bootstrapped"), `raft/log.go` ("tocommit … is out of range"),
/// `server/storage/wal/wal.go` and `walpb/record.go` ("crc mismatch"), `server/etcdserver/api/snap/db.go` ("failed to
/// find database snapshot file"), and `page.go` of bbolt ("page … already freed").
const SENTENCES: [(&[&str], Outlook); 6] = [
    (&["the member has been permanently removed from the cluster"], Outlook::Removed),
    (&["has already been bootstrapped"], Outlook::DataUnusable),
    (&["tocommit", "is out of range"], Outlook::DataUnusable),
    (&["crc mismatch"], Outlook::DataUnusable),
    (&["failed to find", "snapshot file"], Outlook::DataUnusable),
    (&["already freed"], Outlook::DataUnusable),
];

/// How much of a line is kept.
const KEPT_CHARACTERS: usize = 240;

impl Ending {
    /// Reads the last lines of the log of one run, the oldest first; none where the log is empty.
    pub fn of_log(lines: &[String]) -> Option<Self> {
        let outlook = |line: &String| {
            let line = line.to_lowercase();
            SENTENCES
                .iter()
                .find(|(words, _)| words.iter().all(|word| line.contains(word)))
                .map(|(_, outlook)| *outlook)
        };
        let decisive = lines.iter().rev().find_map(|line| Some((outlook(line)?, line)));
        let (outlook, said) = decisive.or_else(|| Some((Outlook::Open, telling(lines)?)))?;
        Some(Self { outlook, said: kept(said) })
    }

    /// Whether it can never recover as the member that it was.
    pub fn is_final(&self) -> bool {
        match self.outlook {
            Outlook::Open => false,
            Outlook::Removed | Outlook::DataUnusable => true,
        }
    }
}

/// The last line that reports an error, or else the last of all.
fn telling(lines: &[String]) -> Option<&String> {
    let is_bad = |line: &&String| {
        let line = line.to_lowercase();
        ["fatal", "panic", "error", "failed", "denied", "no space"].iter().any(|word| line.contains(word))
    };
    lines.iter().rev().find(is_bad).or(lines.last())
}

fn kept(line: &str) -> String {
    line.chars().filter(|character| !character.is_control()).take(KEPT_CHARACTERS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outlook(lines: &[&str]) -> Option<Outlook> {
        let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
        Ending::of_log(&lines).map(|ending| ending.outlook)
    }

    #[test]
    fn only_what_etcd_says_of_itself_is_the_end_of_a_member() {
        for (line, wanted) in [
            ("etcdserver: the member has been permanently removed from the cluster", Outlook::Removed),
            (r#"{"level":"fatal","error":"member 1a has already been bootstrapped"}"#, Outlook::DataUnusable),
            (
                "tocommit(11) is out of range [lastIndex(0)]. Was the raft log corrupted, truncated, or lost?",
                Outlook::DataUnusable,
            ),
            ("walpb: crc mismatch", Outlook::DataUnusable),
            ("panic: page 12 already freed", Outlook::DataUnusable),
            ("write /var/lib/rancher/etcd/member/wal: no space left on device", Outlook::Open),
            ("open /etc/kubernetes/ssl/kube-etcd.pem: permission denied", Outlook::Open),
            ("listen tcp 10.0.0.1:2380: bind: address already in use", Outlook::Open),
        ] {
            assert_eq!(outlook(&["starting", line, "closing etcd server"]), Some(wanted), "{line}");
        }
        assert_eq!(outlook(&[]), None);
    }

    #[test]
    fn the_line_that_tells_most_is_kept_without_control_characters() {
        let lines = ["ready".to_owned(), "error: \u{1b}[31mno space left".to_owned(), "closed".to_owned()];
        assert_eq!(Ending::of_log(&lines).unwrap().said, "error: [31mno space left");
    }
}
