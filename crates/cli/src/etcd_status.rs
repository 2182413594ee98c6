//! The status of etcd as text and as a document.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;
use windlass_model::{
    Alarm, EtcdNodeSeen, EtcdProblem, EtcdSurvey, Latency, MemberReport, NodeName, SnapshotState,
    SurveyedMember, Timestamp, Vote, counted,
};

use crate::exit::Exit;

/// The status of etcd, for programs.
#[derive(Debug, Serialize)]
pub(crate) struct StatusDocument<'s> {
    schema: &'static str,
    exit: u8,
    cluster: &'s str,
    taken_at: Timestamp,
    healthy: bool,
    /// Whether a majority answers.
    majority: bool,
    /// The node whose member leads; `null` where nobody is known to.
    leader: Option<&'s NodeName>,
    members: Vec<MemberDocument<'s>>,
    problems: Vec<ProblemDocument<'s>>,
}

#[derive(Debug, Serialize)]
struct MemberDocument<'s> {
    /// `null` where the member is on no known node.
    node: Option<&'s NodeName>,
    /// In hexadecimal, as etcdctl has it; `null` where the node has no member.
    id: Option<String>,
    name: Option<&'s str>,
    peer_url: &'s str,
    vote: Option<Vote>,
    leads: bool,
    /// Why it does not answer; `null` if it does. What only it can say is `null` then.
    silent: Option<&'s str>,
    version: Option<&'s str>,
    raft_term: Option<u64>,
    raft_index: Option<u64>,
    raft_applied_index: Option<u64>,
    revision: Option<u64>,
    db_bytes: Option<u64>,
    db_used_bytes: Option<u64>,
    db_free_percent: Option<u64>,
    quota_bytes: Option<u64>,
    quota_percent: Option<u64>,
    alarms: Vec<Alarm>,
    errors: &'s [String],
    fsync: Option<Latency>,
    backend_commit: Option<Latency>,
    peer_round_trip: BTreeMap<String, Latency>,
    certificate_valid_until: Option<Timestamp>,
    certificate_days: Option<u64>,
    snapshots: SnapshotsDocument<'s>,
}

#[derive(Debug, Serialize)]
struct SnapshotsDocument<'s> {
    /// How many seconds lie between two; `null` where nothing takes any.
    every_seconds: Option<u64>,
    /// Whether anything is known of them.
    known: bool,
    newest: Option<&'s str>,
    taken_at: Option<Timestamp>,
    age_seconds: Option<u64>,
    bytes: Option<u64>,
    revision: Option<u64>,
    /// `proven` (read back, at `checked_at`), `unproven` or `damaged`.
    state: Option<&'static str>,
    checked_at: Option<Timestamp>,
    failing_since: Option<Timestamp>,
    failure: Option<&'s str>,
    /// The newest copy in the bucket; `null` where none are kept, or none is there yet.
    copied: Option<&'s str>,
    copy_failing_since: Option<Timestamp>,
    copy_failure: Option<&'s str>,
}

#[derive(Debug, Serialize)]
struct ProblemDocument<'s> {
    what: String,
    help: &'static str,
    #[serde(flatten)]
    problem: &'s EtcdProblem,
}

impl<'s> StatusDocument<'s> {
    pub(crate) fn new(
        cluster: &'s str,
        survey: &'s EtcdSurvey,
        problems: &'s [EtcdProblem],
        exit: Exit,
    ) -> Self {
        let problem = |problem: &'s EtcdProblem| ProblemDocument {
            what: problem.to_string(),
            help: problem.help(),
            problem,
        };
        Self {
            schema: "windlass/etcd-status/1",
            exit: exit.code(),
            cluster,
            taken_at: survey.taken_at,
            healthy: problems.is_empty(),
            majority: survey.has_majority(),
            leader: leader(survey),
            members: rows(survey).iter().map(|row| member_document(survey, row)).collect(),
            problems: problems.iter().map(problem).collect(),
        }
    }
}

/// One line: a member, or a node that should have one.
struct Row<'s> {
    node: Option<(&'s NodeName, &'s EtcdNodeSeen)>,
    member: Option<SurveyedMember<'s>>,
}

impl<'s> Row<'s> {
    fn report(&self) -> Option<&'s MemberReport> {
        self.node.and_then(|(_, node)| node.report.as_deref().ok())
    }
}

fn rows(survey: &EtcdSurvey) -> Vec<Row<'_>> {
    let members = survey.members();
    let is_listed = |node: &EtcdNodeSeen| members.iter().any(|member| member.peer_url == node.peer_url);
    let others = survey.nodes.iter().filter(|(_, node)| !is_listed(node));
    let others: Vec<Row<'_>> = others.map(|node| Row { node: Some(node), member: None }).collect();
    let mut rows: Vec<Row<'_>> = members
        .iter()
        .map(|member| Row {
            node: member.node.and_then(|name| survey.nodes.get_key_value(name)),
            member: Some(member.clone()),
        })
        .collect();
    rows.extend(others);
    rows.sort_by_key(|row| row.node.map(|(name, _)| name.clone()));
    rows
}

fn leader(survey: &EtcdSurvey) -> Option<&NodeName> {
    let by_majority = survey.seen.members().iter().find(|member| member.leads);
    by_majority.and_then(|member| survey.node_of(&member.peer_url))
}

fn member_document<'s>(survey: &'s EtcdSurvey, row: &Row<'s>) -> MemberDocument<'s> {
    let report = row.report();
    let node = row.node.map(|(_, node)| node);
    let member = row.member.as_ref();
    let alarms = survey.alarms();
    let days = |until: Timestamp| until.seconds_since(survey.taken_at) / 86_400;
    let silent = match node {
        Some(node) => node.report.as_ref().err().map(String::as_str),
        None => Some("it is on no known node"),
    };
    MemberDocument {
        node: row.node.map(|(name, _)| name),
        id: member.map(|member| member.id.to_string()),
        name: member.map(|member| member.name).filter(|name| !name.is_empty()),
        peer_url: member
            .map_or_else(|| node.map_or("", |node| node.peer_url.as_str()), |member| member.peer_url),
        vote: member.map(|member| member.vote),
        leads: row.node.is_some() && leader(survey) == row.node.map(|(name, _)| name),
        silent,
        version: report.map(|report| report.version.as_str()),
        raft_term: report.map(|report| report.term),
        raft_index: report.map(|report| report.index),
        raft_applied_index: report.map(|report| report.applied),
        revision: report.map(|report| report.revision),
        db_bytes: report.map(|report| report.db_bytes),
        db_used_bytes: report.map(|report| report.db_used_bytes),
        db_free_percent: report.and_then(free_percent),
        quota_bytes: report.and_then(|report| report.quota_bytes),
        quota_percent: report.and_then(MemberReport::quota_percent),
        alarms: member
            .and_then(|member| alarms.get(&member.id))
            .map_or_else(Vec::new, |raised| raised.iter().copied().collect()),
        errors: report.map_or(&[], |report| report.errors.as_slice()),
        fsync: report.and_then(|report| report.fsync),
        backend_commit: report.and_then(|report| report.commit),
        peer_round_trip: report
            .map(|report| report.peers.iter().map(|(id, latency)| (id.to_string(), *latency)).collect())
            .unwrap_or_default(),
        certificate_valid_until: node.and_then(|node| node.certificate_until),
        certificate_days: node.and_then(|node| node.certificate_until).map(days),
        snapshots: snapshots_document(survey, node),
    }
}

fn snapshots_document<'s>(survey: &EtcdSurvey, node: Option<&'s EtcdNodeSeen>) -> SnapshotsDocument<'s> {
    let rolling = node.and_then(EtcdNodeSeen::rolling);
    let newest = rolling.and_then(|rolling| rolling.newest.as_ref());
    let proof = newest.and_then(windlass_model::SnapshotSeen::proof);
    let taken_at = rolling.and_then(windlass_model::RollingSeen::newest_at);
    let failed = rolling.and_then(|rolling| rolling.journal.as_ref()?.failed.as_ref());
    let copies = rolling.and_then(|rolling| rolling.journal.as_ref()?.copies.as_ref());
    let not_copied = copies.and_then(|copies| copies.failed.as_ref());
    SnapshotsDocument {
        every_seconds: node.and_then(EtcdNodeSeen::interval),
        known: rolling.is_some(),
        newest: newest.map(|newest| newest.name.as_str()),
        taken_at,
        age_seconds: taken_at.map(|at| survey.taken_at.seconds_since(at)),
        bytes: newest.map(|newest| newest.bytes),
        revision: proof.map(|proof| proof.revision),
        state: newest.map(|newest| match newest.state {
            SnapshotState::Proven(_) => "proven",
            SnapshotState::Unproven => "unproven",
            SnapshotState::Damaged(_) => "damaged",
        }),
        checked_at: proof.map(|proof| proof.checked_at),
        failing_since: failed.map(|failed| failed.since),
        failure: failed.map(|failed| failed.why.as_str()),
        copied: copies.and_then(|copies| copies.newest.as_deref()),
        copy_failing_since: not_copied.map(|failed| failed.since),
        copy_failure: not_copied.map(|failed| failed.why.as_str()),
    }
}

fn free_percent(report: &MemberReport) -> Option<u64> {
    (report.db_bytes > 0).then(|| report.free_bytes() * 100 / report.db_bytes)
}

/// The status as a table.
pub(crate) fn status_text(cluster: &str, survey: &EtcdSurvey) -> String {
    let rows = rows(survey);
    let members = counted(rows.iter().filter(|row| row.member.is_some()).count(), "member");
    let led = match (survey.has_majority(), leader(survey)) {
        (false, _) => "no majority answers".to_owned(),
        (true, Some(leader)) => format!("{leader} leads"),
        (true, None) => "nobody is known to lead".to_owned(),
    };
    let mut text = format!("etcd of cluster \"{cluster}\": {members}, {led}\n\n");
    let head = [
        "NODE", "ID", "ROLE", "VERSION", "TERM", "INDEX", "REVISION", "DB", "FREE", "OF QUOTA", "FSYNC",
        "PEERS", "CERT", "SNAPSHOT",
    ];
    let mut lines = vec![head.map(str::to_owned)];
    let mut silent = String::new();
    for row in &rows {
        let place = match (row.node, &row.member) {
            (Some((name, _)), _) => name.to_string(),
            (None, Some(member)) => member.place(),
            (None, None) => continue,
        };
        if let Some(why) = row.node.and_then(|(_, node)| node.report.as_ref().err()) {
            let _ = writeln!(silent, "{place} does not answer: {why}");
        }
        lines.push(cells(survey, row, place));
    }
    text.push_str(&columns(&lines));
    text.push_str("\nlatencies: the 99th percentile since the member's start\n");
    if !silent.is_empty() {
        let _ = write!(text, "{silent}");
    }
    text.push('\n');
    text
}

fn cells(survey: &EtcdSurvey, row: &Row<'_>, place: String) -> [String; 14] {
    let report = row.report();
    let node = row.node.map(|(_, node)| node);
    let unknown = || "?".to_owned();
    let number =
        |read: fn(&MemberReport) -> u64| report.map_or_else(unknown, |report| read(report).to_string());
    let percent = |percent: Option<u64>| percent.map_or_else(unknown, |percent| format!("{percent} %"));
    let role = match &row.member {
        None => "none",
        Some(_) if leader(survey) == row.node.map(|(name, _)| name) && row.node.is_some() => "leader",
        Some(member) if member.vote == Vote::Learner => "learner",
        Some(_) => "voter",
    };
    let slowest = report.and_then(|report| {
        report.peers.values().max_by_key(|peer| (peer.p99_micros.is_none(), peer.p99_micros))
    });
    let until = node.and_then(|node| node.certificate_until);
    [
        place,
        row.member.as_ref().map_or_else(unknown, |member| member.id.to_string()),
        role.to_owned(),
        report.map_or_else(unknown, |report| report.version.clone()),
        number(|report| report.term),
        number(|report| report.index),
        number(|report| report.revision),
        report.map_or_else(unknown, |report| bytes(report.db_bytes)),
        percent(report.and_then(free_percent)),
        percent(report.and_then(MemberReport::quota_percent)),
        report.and_then(|report| report.fsync).map_or_else(unknown, shown),
        slowest.map_or_else(unknown, |peer| shown(*peer)),
        until.map_or_else(unknown, |until| format!("{} d", until.seconds_since(survey.taken_at) / 86_400)),
        snapshot_cell(survey, node),
    ]
}

fn snapshot_cell(survey: &EtcdSurvey, node: Option<&EtcdNodeSeen>) -> String {
    let Some(node) = node else { return "?".to_owned() };
    let (Some(rolling), every) = (node.rolling(), node.interval()) else {
        return if node.facts.is_ok() && node.interval().is_none() {
            "off".to_owned()
        } else {
            "?".to_owned()
        };
    };
    let (Some(newest), Some(at)) = (&rolling.newest, rolling.newest_at()) else {
        return if every.is_some() { "none".to_owned() } else { "off".to_owned() };
    };
    let state = match &newest.state {
        SnapshotState::Proven(_) => "read back",
        SnapshotState::Unproven => "not read back",
        SnapshotState::Damaged(_) => "damaged",
    };
    format!("{} ago, {state}", age(survey.taken_at.seconds_since(at)))
}

fn shown(latency: Latency) -> String {
    match latency.p99_micros {
        None => "very slow".to_owned(),
        Some(micros) => format!("{}.{} ms", micros / 1_000, micros % 1_000 / 100),
    }
}

/// A span of time in its largest whole unit.
fn age(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// A size with one digit behind the point.
pub(crate) fn bytes(bytes: u64) -> String {
    let (unit, name) = match bytes {
        0..1_000_000 => (1_000, "kB"),
        1_000_000..1_000_000_000 => (1_000_000, "MB"),
        _ => (1_000_000_000, "GB"),
    };
    format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit)
}

/// Lines in columns.
pub(crate) fn columns<const N: usize>(lines: &[[String; N]]) -> String {
    let width =
        |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..N).map(width).collect();
    let mut text = String::new();
    for line in lines {
        let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_ages_are_short() {
        assert_eq!(
            [0, 20_480, 4_194_304, 2_147_483_648].map(bytes),
            ["0.0 kB", "20.4 kB", "4.1 MB", "2.1 GB"]
        );
        assert_eq!(
            [5, 119, 120, 7_199, 7_200, 172_800].map(age),
            ["5 s", "119 s", "2 min", "119 min", "2 h", "2 d"]
        );
    }
}
