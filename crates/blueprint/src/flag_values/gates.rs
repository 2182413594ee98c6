//! Names that change from version to version: feature gates, and the admission plugins of the API server.

use std::collections::BTreeMap;

use windlass_model::Component;
use windlass_spec::nearest;

use super::flaw::{Flaw, doubtful, refused};
use super::go::is_boolean;
use super::table::{Plugins, TABLE};
use crate::catalog::Minor;
use crate::flags::Words;

/// The last minor version of which all gates are known that existed then.
const GATES_KNOWN: Minor = Minor(1, 33);

/// `Gate=true,Other=false`.
pub(super) fn gates(component: Component, value: &str, minor: Minor) -> Option<Flaw> {
    for part in value.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let Some((gate, state)) = part.split_once('=') else {
            return refused(
                format!("has `{part}` without a value"),
                format!("write `{part}=true` or `{part}=false`"),
            );
        };
        let gate = gate.trim();
        if !is_boolean(state.trim()) {
            return refused(
                format!("has `{part}`, which is neither true nor false"),
                format!("write `{gate}=true`"),
            );
        }
        let stops = format!("{component} does not start with a gate that it does not know: take it out");
        let gone = TABLE.gates.iter().find(|(_, gates)| gates.has(gate)).map(|(gone, _)| *gone);
        if let Some(gone) = gone.filter(|gone| *gone <= minor) {
            return doubtful(format!("has `{gate}`, which Kubernetes has no longer from {gone} on"), stops);
        }
        let came = TABLE.new_gates.iter().find(|(_, gates)| gates.has(gate)).map(|(came, _)| *came);
        if let Some(came) = came.filter(|came| minor < *came) {
            return doubtful(format!("has `{gate}`, which Kubernetes has from {came} on"), stops);
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
