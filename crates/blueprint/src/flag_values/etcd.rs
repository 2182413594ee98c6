//! Values of etcd's flags and variables that belong together, or that make of a member something else.

use windlass_addons::{Problems, Severity};
use windlass_model::{Component, Role};

use super::flaw;
use super::given::{Flags, Given, place};
use super::go::{integer, is_true};
use super::lists::parts;
use crate::catalog::Minor;

pub(super) fn check(etcd: &Flags<'_>, problems: &mut Problems) {
    elections(etcd, problems);
    variables(etcd, problems);
    hazards(etcd, problems);
    versions_of_tls(etcd, problems);
    checkpoints(etcd, problems);
    rotation(etcd, problems);
}

/// Flags with which a process starts, and is no member that its cluster can rely on.
///
/// Sources: `server/etcdserver/bootstrap.go`, `server/storage/backend` and `server/etcdmain/etcd.go` of etcd-io/etcd.
fn hazards(etcd: &Flags<'_>, problems: &mut Problems) {
    let given = |flag: &str| {
        let given = etcd.of_file_or_variable(flag)?;
        Some((given.value, given.place?))
    };
    if let Some((_, place)) = given("force-new-cluster").filter(|(value, _)| is_true(value)) {
        let help = "take it out: a lost majority is recovered by `windlass etcd recover`".to_owned();
        match etcd.nodes(Role::Etcd) {
            2.. => problems.error(
                &place,
                "`force-new-cluster` makes each member a cluster of its own, at every start".to_owned(),
                Some(help),
            ),
            _ => problems.warning(
                &place,
                "`force-new-cluster` drops all other members, at every start: none can join".to_owned(),
                Some(help),
            ),
        }
    }
    if let Some((_, place)) = given("unsafe-no-fsync").filter(|(value, _)| is_true(value)) {
        problems.warning(
            &place,
            "with `unsafe-no-fsync` a machine that loses power loses what its member agreed to".to_owned(),
            Some("take it out, unless the cluster is only for tests".to_owned()),
        );
    }
    let is_proxy = |(value, _): &(String, String)| matches!(value.as_str(), "on" | "readonly");
    if let Some((value, place)) = given("proxy").filter(is_proxy) {
        problems.error(
            &place,
            format!("with `proxy: {value}` etcd is no member: it hands on what others ask"),
            Some("take it out: there is no member to hand it on to".to_owned()),
        );
    }
}

/// Source: `Validate` in `server/embed/config.go` of etcd-io/etcd.
fn elections(etcd: &Flags<'_>, problems: &mut Problems) {
    const TIMES: i64 = 5;
    let of = |flag: &str, default: &str| {
        let default = || Given { value: default.to_owned(), place: None };
        etcd.of_file_or_variable(flag).or_else(|| etcd.get(flag)).unwrap_or_else(default)
    };
    let (beat, election) = (of("heartbeat-interval", "100"), of("election-timeout", "1000"));
    let (Some(milliseconds), Some(timeout)) = (integer(&beat.value), integer(&election.value)) else {
        return;
    };
    if let Some(place) = place(&[&beat, &election]).filter(|_| milliseconds > 0 && timeout > 0)
        && milliseconds.saturating_mul(TIMES) > timeout
    {
        problems.error(
            place,
            format!(
                "`--election-timeout={}` is less than {TIMES} times `--heartbeat-interval={}`",
                election.value, beat.value
            ),
            Some("etcd does not start with that: ten times is usual".to_owned()),
        );
    }
}

/// Variables of flags: one that is given too, and one with a value that the flag does not take.
///
/// Sources: `verifyEnv` (from 3.4 on) and `SetFlagsFromEnv` in `pkg/flags/flag.go` of etcd-io/etcd.
fn variables(etcd: &Flags<'_>, problems: &mut Problems) {
    for (name, Given { value, place }) in etcd.variables() {
        let Some(flag) = name.strip_prefix("ETCD_").map(|name| name.replace('_', "-").to_lowercase()) else {
            continue;
        };
        let Some(place) = place else { continue };
        let is_of_file = etcd.place_of(&flag).is_some();
        let is_of_birth = Component::Etcd.nature().birth_flags.contains(&flag.as_str());
        if !is_of_file && !is_of_birth && !etcd.is_given_by_windlass(&flag) {
            of_wrong_value(etcd, name, &flag, &value, &place, problems);
            continue;
        }
        let help = if is_of_file {
            "etcd does not start with both: leave one out".to_owned()
        } else if is_of_birth {
            "etcd does not start with both, and windlass alone decides on it: take it out".to_owned()
        } else {
            format!(
                "etcd does not start with both, and windlass gives the flag: write `{flag}` under `extra_args`"
            )
        };
        problems.error(
            &place,
            format!("`{name}` is the variable of the flag `--{flag}`, which is given too"),
            Some(help),
        );
    }
}

/// An empty variable is none.
fn of_wrong_value(
    etcd: &Flags<'_>,
    name: &str,
    flag: &str,
    value: &str,
    place: &str,
    problems: &mut Problems,
) {
    let wrong = flaw(Component::Etcd, flag, value, etcd.minor_of_etcd()).filter(|_| !value.is_empty());
    let Some(wrong) = wrong else { return };
    let summary = format!("`{name}={value}` {}", wrong.what);
    match wrong.severity {
        Severity::Error => problems.error(place, summary, Some(wrong.help)),
        Severity::Warning => problems.warning(place, summary, Some(wrong.help)),
    }
}

/// Source: `Validate` and `ClientSelfCert` in `server/embed/config.go` of etcd-io/etcd.
fn versions_of_tls(etcd: &Flags<'_>, problems: &mut Problems) {
    let Some(Given { value, place: Some(place) }) = etcd.of_file_or_variable("tls-min-version") else {
        return;
    };
    if value != "TLS1.3" {
        return;
    }
    let other = if etcd.of_file_or_variable("tls-max-version").is_some_and(|most| most.value == "TLS1.2") {
        "`tls-max-version: TLS1.2` beside it"
    } else if etcd.of_file_or_variable("cipher-suites").is_some_and(|suites| !suites.value.is_empty()) {
        "`cipher-suites` beside it, which are those of TLS 1.2"
    } else {
        return;
    };
    problems.error(
        &place,
        format!("`tls-min-version: TLS1.3` has {other}"),
        Some("etcd does not start with both: leave one out".to_owned()),
    );
}

/// The first version that has gates in place of flags.
const GATES: Minor = Minor(3, 6);

/// Source: `Validate` in `server/embed/config.go` of etcd-io/etcd.
fn checkpoints(etcd: &Flags<'_>, problems: &mut Problems) {
    const FLAG: &str = "experimental-enable-lease-checkpoint";
    const GATE: &str = "LeaseCheckpoint";
    let is_on = |flag: &str| etcd.of_file_or_variable(flag).filter(|given| is_true(&given.value));
    if let Some(Given { place: Some(place), .. }) = is_on(&format!("{FLAG}-persist"))
        && is_on(FLAG).is_none()
    {
        problems.error(
            &place,
            format!("`{FLAG}-persist` needs `{FLAG}` beside it"),
            Some(format!("etcd does not start without: write `{FLAG}: true`")),
        );
    }
    let has_gates = etcd.minor_of_etcd().is_some_and(|minor| GATES <= minor);
    if let Some(place) = etcd.place_of("feature-gates").filter(|_| has_gates)
        && etcd.gate("LeaseCheckpointPersist", "LeaseCheckpointPersist") == Some(true)
        && etcd.gate(GATE, "AllAlpha") != Some(true)
    {
        problems.error(
            &place,
            format!("the gate `LeaseCheckpointPersist` needs `{GATE}` beside it"),
            Some(format!("etcd does not start without: add `{GATE}=true`")),
        );
    }
}

/// Source: `setupLogRotation` in `server/embed/config_logging.go` of etcd-io/etcd, from 3.5 on.
fn rotation(etcd: &Flags<'_>, problems: &mut Problems) {
    let rotates = etcd.of_file_or_variable("enable-log-rotation").filter(|given| is_true(&given.value));
    let Some(Given { place: Some(place), .. }) = rotates else { return };
    let outputs =
        etcd.of_file_or_variable("log-outputs").map_or_else(|| "default".to_owned(), |given| given.value);
    let files = parts(&outputs).filter(|output| !matches!(*output, "default" | "stderr" | "stdout")).count();
    if (parts(&outputs).count() == 1 && files == 0) || files > 1 {
        problems.error(
            &place,
            "`enable-log-rotation` needs one file in `log-outputs`".to_owned(),
            Some("etcd does not start without: Docker's log is rotated by Docker, so take it out".to_owned()),
        );
    }
}
