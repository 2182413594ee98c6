//! Names that change from version to version: feature gates, the admission plugins of the API server, and the controllers
//! of kube-controller-manager.

use std::collections::BTreeMap;

use windlass_addons::Severity;
use windlass_model::Component;
use windlass_spec::nearest;

use super::flaw::{Flaw, doubtful};
use super::go::{is_boolean, is_true};
use super::lists::{parts, unseparated};
use super::table::{Controllers, Plugins, TABLE};
use crate::catalog::Minor;
use crate::flags::Words;

/// The last minor version of which all gates are known that existed then.
const GATES_KNOWN: Minor = Minor(1, 33);

/// `Gate=true,Other=false`.
pub(super) fn gates(component: Component, value: &str, minor: Minor) -> Option<Flaw> {
    for part in parts(value) {
        let gate = match gate_of(part, value) {
            Ok(gate) => gate,
            Err(flaw) => return Some(flaw),
        };
        let stops = format!("{component} does not start with a gate that it does not know: take it out");
        let gone = TABLE.gates.iter().find(|(_, gates)| gates.has(gate)).map(|(gone, _)| *gone);
        if let Some(gone) = gone.filter(|gone| *gone <= minor) {
            return doubtful(format!("has `{gate}`, which Kubernetes has no longer from {gone} on"), stops);
        }
        let came = TABLE.new_gates.iter().find(|(_, gates)| gates.has(gate)).map(|(came, _)| *came);
        if let Some(came) = came.filter(|came| minor < *came) {
            return doubtful(format!("has `{gate}`, which Kubernetes has from {came} on"), stops);
        }
        if let Some(flaw) = locked(component, part, gate, minor) {
            return Some(flaw);
        }
        if gone.is_some() || came.is_some() || TABLE.known_gates.has(gate) {
            continue;
        }
        let of = |lists: &'static BTreeMap<Minor, Words>| lists.values().flat_map(|gates| &gates.0);
        let all = TABLE.known_gates.0.iter().chain(of(&TABLE.gates)).chain(of(&TABLE.new_gates));
        match nearest(gate, all.map(String::as_str)) {
            Some(near) => {
                return doubtful(
                    format!("has `{gate}`, which is no feature gate that windlass knows of"),
                    format!("did you mean `{near}`?"),
                );
            }
            None if minor <= GATES_KNOWN => {
                return doubtful(
                    format!("has `{gate}`, which is no feature gate that windlass knows of"),
                    stops,
                );
            }
            None => {}
        }
    }
    None
}

/// A gate that has the other value for good.
fn locked(component: Component, part: &str, gate: &str, minor: Minor) -> Option<Flaw> {
    let state = part.split_once('=').map(|(_, state)| state.trim())?;
    let is_on = is_true(state);
    let (table, word) = if is_on { (&TABLE.locked_off, "off") } else { (&TABLE.locked_on, "on") };
    let since = table.iter().find(|(_, gates)| gates.has(gate)).map(|(since, _)| *since)?;
    if minor < since {
        return None;
    }
    doubtful(
        format!("has `{}`, and it is {word} for good from {since} on", part.replace(' ', "")),
        format!("{component} does not start with that: take it out"),
    )
}

/// The name in `Gate=true`, a part of the value, if it is one with a value.
fn gate_of<'p>(part: &'p str, value: &str) -> Result<&'p str, Flaw> {
    // Blanks around a `=` change nothing.
    if let Some(flaw) = unseparated(value).filter(|_| part.matches('=').count() > 1) {
        return Err(flaw);
    }
    let wrong = |what: String, help: String| Flaw { severity: Severity::Error, what, help };
    let Some((gate, state)) = part.split_once('=') else {
        let help = match part.split_once(':') {
            Some((gate, state)) => format!("write `{}={}`", gate.trim(), state.trim()),
            None => format!("write `{part}=true` or `{part}=false`"),
        };
        return Err(wrong(format!("has `{part}` without a value"), help));
    };
    let gate = gate.trim();
    if is_boolean(state.trim()) {
        Ok(gate)
    } else {
        let what = format!("has `{part}`, which is neither true nor false");
        Err(wrong(what, format!("write `{gate}=true`")))
    }
}

/// The gates of etcd, with the first version that has each.
///
/// Source: `server/features/etcd_features.go` of etcd-io/etcd.
const OF_ETCD: [(&str, Minor); 11] = [
    ("AllAlpha", Minor(3, 6)),
    ("AllBeta", Minor(3, 6)),
    ("CompactHashCheck", Minor(3, 6)),
    ("InitialCorruptCheck", Minor(3, 6)),
    ("LeaseCheckpoint", Minor(3, 6)),
    ("LeaseCheckpointPersist", Minor(3, 6)),
    ("SetMemberLocalAddr", Minor(3, 6)),
    ("StopGRPCServiceOnDefrag", Minor(3, 6)),
    ("TxnModeWriteWithSharedBuffer", Minor(3, 6)),
    ("FastLeaseKeepAlive", Minor(3, 7)),
    ("PriorityRequest", Minor(3, 7)),
];

/// The same of etcd.
pub(super) fn gates_of_etcd(value: &str, minor: Option<Minor>) -> Option<Flaw> {
    const STOPS: &str = "etcd does not start with a gate that it does not know: take it out";
    for part in parts(value) {
        let gate = match gate_of(part, value) {
            Ok(gate) => gate,
            Err(flaw) => return Some(flaw),
        };
        match OF_ETCD.iter().find(|(known, _)| *known == gate) {
            Some((_, came)) if minor.is_some_and(|minor| minor < *came) => {
                return doubtful(format!("has `{gate}`, which etcd has from {came} on"), STOPS);
            }
            Some(_) => {}
            None => {
                let help = match nearest(gate, OF_ETCD.iter().map(|(known, _)| *known)) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => STOPS.to_owned(),
                };
                let what = format!("has `{gate}`, which is no feature gate of etcd that windlass knows of");
                return doubtful(what, help);
            }
        }
    }
    None
}

/// A list of admission plugins.
pub(super) fn plugins(value: &str, minor: Minor) -> Option<Flaw> {
    let Plugins { known, since, gone } = &TABLE.plugins;
    let of = |lists: &BTreeMap<Minor, Words>, plugin: &str| {
        lists.iter().find(|(_, plugins)| plugins.has(plugin)).map(|(minor, _)| *minor)
    };
    for plugin in value.split(',').map(str::trim).filter(|plugin| !plugin.is_empty()) {
        let stops =
            "the API server does not start with a plugin that it does not know: take it out of the list";
        if let Some(gone) = of(gone, plugin).filter(|gone| *gone <= minor) {
            return doubtful(
                format!("has {plugin}, which the API server has no longer from {gone} on"),
                stops,
            );
        }
        let came = of(since, plugin);
        if let Some(came) = came.filter(|came| minor < *came) {
            return doubtful(format!("has {plugin}, which the API server has from {came} on"), stops);
        }
        if came.is_none() && !known.has(plugin) {
            let all = known.0.iter().chain(since.values().flat_map(|plugins| &plugins.0));
            let there = |name: &&String| of(gone, name).is_none_or(|gone| gone > minor);
            let help = match nearest(plugin, all.filter(there).map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => stops.to_owned(),
            };
            return doubtful(
                format!("has `{plugin}`, which is no admission plugin that windlass knows of"),
                help,
            );
        }
    }
    None
}

/// Names of controllers, `-name` for one that is not to run, and `*` for all that run by default.
///
/// Sources: `Validate` in `k8s.io/controller-manager/options` and `IsControllerEnabled` in
/// `k8s.io/controller-manager/pkg/features` of kubernetes/kubernetes.
pub(super) fn controllers(value: &str, minor: Minor) -> Option<Flaw> {
    let Controllers { known, since } = &TABLE.controllers;
    for given in parts(value).filter(|given| *given != "*") {
        let name = given.strip_prefix('-').unwrap_or(given);
        let stops = "kube-controller-manager does not start with a name that it does not know: take it out";
        let came = since.iter().find(|(_, names)| names.has(name)).map(|(came, _)| *came);
        if let Some(came) = came.filter(|came| minor < *came) {
            return doubtful(format!("has `{name}`, a controller that Kubernetes has from {came} on"), stops);
        }
        if came.is_none() && !known.has(name) {
            let all = known.0.iter().chain(since.values().flat_map(|names| &names.0));
            let help = match nearest(name, all.map(String::as_str)) {
                _ if name == "*" => "to run fewer, name each that is not to run".to_owned(),
                Some(near) => format!("did you mean `{}`?", given.replace(name, near)),
                None => stops.to_owned(),
            };
            return doubtful(format!("has `{name}`, which is no controller that windlass knows of"), help);
        }
    }
    if !value.is_empty() && parts(value).all(|given| given != "*") {
        let named: Vec<&str> = parts(value).filter(|given| !given.starts_with('-')).collect();
        let what = if named.is_empty() {
            "leaves no controller that runs: `*` is not in the list".to_owned()
        } else {
            format!("lets no controller run but {}: `*` is not in the list", named.join(", "))
        };
        return doubtful(what, format!("write `*,{value}`"));
    }
    None
}
