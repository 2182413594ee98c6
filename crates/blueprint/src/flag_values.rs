//! What the values of flags must be: one that a component does not start with is reported before it is tried.
//!
//! An error is only what the flag's own parser refuses in every version; what depends on what windlass knows of
//! versions is a warning.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;
use windlass_model::{Component, KubernetesVersion};
use windlass_spec::nearest;

use crate::catalog::Minor;
use crate::flags::Words;
use windlass_addons::Severity;

/// What is wrong with a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Flaw {
    pub(crate) severity: Severity,
    /// Completes a sentence that begins with the value: "is no …".
    pub(crate) what: String,
    pub(crate) help: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    boolean: Words,
    integer: Words,
    number: Words,
    duration: Words,
    quantity: Words,
    resources: Words,
    thresholds: Words,
    grace: Words,
    only: BTreeMap<Component, BTreeMap<Form, Words>>,
    words: BTreeMap<Component, BTreeMap<String, Choice>>,
    plugins: Plugins,
    gates: BTreeMap<Minor, Words>,
    known_gates: Words,
}

/// The form of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Form {
    Boolean,
    Integer,
    Number,
    Duration,
    Quantity,
    Resources,
    Thresholds,
    Grace,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Choice {
    words: Words,
    #[serde(default)]
    list: bool,
    #[serde(default)]
    since: BTreeMap<String, Minor>,
    #[serde(default)]
    gone: BTreeMap<String, Minor>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Plugins {
    known: Words,
    since: BTreeMap<Minor, Words>,
    gone: BTreeMap<Minor, Words>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    serde_yaml::from_str(include_str!("flag-values.yml")).expect("a test parses the built-in table of values")
});

/// The last minor version of which all gates are known that existed then.
const GATES_KNOWN: Minor = Minor(1, 33);

/// What is wrong with the value of a flag, if anything; `flag` has no dashes before it and `-` within.
pub(crate) fn flaw(
    component: Component,
    flag: &str,
    value: &str,
    version: &KubernetesVersion,
) -> Option<Flaw> {
    let minor = Minor::of(version);
    if let Some(choice) = TABLE.words.get(&component).and_then(|choices| choices.get(flag)) {
        return choice.flaw(component, value, minor);
    }
    match (component, flag) {
        (Component::Etcd, "feature-gates") => None,
        (_, "feature-gates") => gates(component, value, minor),
        (
            Component::KubeApiserver,
            "enable-admission-plugins" | "disable-admission-plugins" | "admission-control",
        ) => plugins(value, minor),
        (Component::Kubelet, "node-labels") => node_labels(value),
        _ => form_of(component, flag)?.flaw(value),
    }
}

fn form_of(component: Component, flag: &str) -> Option<Form> {
    let own = TABLE
        .only
        .get(&component)
        .and_then(|forms| forms.iter().find(|(_, flags)| flags.has(flag)).map(|(form, _)| *form));
    let Table { boolean, integer, number, duration, quantity, resources, thresholds, grace, .. } = &*TABLE;
    let all = [
        (boolean, Form::Boolean),
        (integer, Form::Integer),
        (number, Form::Number),
        (duration, Form::Duration),
        (quantity, Form::Quantity),
        (resources, Form::Resources),
        (thresholds, Form::Thresholds),
        (grace, Form::Grace),
    ];
    own.or_else(|| all.into_iter().find(|(flags, _)| flags.has(flag)).map(|(_, form)| form))
}

#[expect(clippy::unnecessary_wraps, reason = "it is the answer of those who call it")]
fn refused(what: impl Into<String>, help: impl Into<String>) -> Option<Flaw> {
    Some(Flaw { severity: Severity::Error, what: what.into(), help: help.into() })
}

#[expect(clippy::unnecessary_wraps, reason = "it is the answer of those who call it")]
fn doubtful(what: impl Into<String>, help: impl Into<String>) -> Option<Flaw> {
    Some(Flaw { severity: Severity::Warning, what: what.into(), help: help.into() })
}

impl Form {
    fn flaw(self, value: &str) -> Option<Flaw> {
        match self {
            Self::Boolean if is_boolean(value) => None,
            Self::Boolean => refused("is neither true nor false", "write `true` or `false`"),
            Self::Integer if is_integer(value) => None,
            Self::Integer => refused("is no whole number", "write digits alone"),
            Self::Number if value.parse::<f64>().is_ok() => None,
            Self::Number => refused("is no number", "write a number such as `50` or `0.5`"),
            Self::Duration if is_duration(value) => None,
            Self::Duration => {
                let bare = is_integer(value) && !value.is_empty();
                let help = if bare {
                    format!("write a unit behind it, such as `{value}s`")
                } else if value.strip_suffix('d').is_some_and(is_integer) {
                    "there is no unit `d`: write days in hours".to_owned()
                } else {
                    "write numbers with units, such as `1h30m` or `40s`".to_owned()
                };
                refused("is no duration", help)
            }
            Self::Quantity if is_quantity(value) => None,
            Self::Quantity => refused("is no quantity", "write a number with a unit, such as `10Mi`"),
            Self::Resources => each(value, '=', is_quantity, "quantity", "cpu=500m,memory=1Gi"),
            Self::Thresholds => each(
                value,
                '<',
                |amount| is_quantity(amount) || is_percentage(amount),
                "quantity or percentage",
                "memory.available<500Mi,nodefs.available<10%",
            ),
            Self::Grace => each(value, '=', is_duration, "duration", "memory.available=1m30s"),
        }
    }
}

/// A list of names with values, with commas between.
fn each(value: &str, sign: char, is_right: impl Fn(&str) -> bool, form: &str, example: &str) -> Option<Flaw> {
    for part in value.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        match part.split_once(sign) {
            Some((name, amount)) if !name.is_empty() && is_right(amount.trim()) => {}
            Some((_, amount)) => {
                return refused(
                    format!("has `{}`, which is no {form}", amount.trim()),
                    format!("write it like `{example}`"),
                );
            }
            None => {
                return refused(
                    format!("has `{part}` without `{sign}`"),
                    format!("write it like `{example}`"),
                );
            }
        }
    }
    None
}

impl Choice {
    fn flaw(&self, component: Component, value: &str, minor: Minor) -> Option<Flaw> {
        let given: Vec<&str> =
            if self.list { value.split(',').map(str::trim).collect() } else { vec![value] };
        for word in given.into_iter().filter(|word| !word.is_empty()) {
            if !self.words.has(word) {
                let help = match nearest(word, self.words.0.iter().map(String::as_str)) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("write one of {}", self.words.0.join(", ")),
                };
                let what = if self.list {
                    format!("has `{word}`, which {component} does not know")
                } else {
                    format!("is nothing that {component} knows")
                };
                return refused(what, help);
            }
            // Those of etcd are the same in all of its versions.
            if let Some(gone) = self.gone.get(word).filter(|gone| **gone <= minor) {
                return refused(format!("is gone from {gone} on"), "choose another".to_owned());
            }
            if let Some(since) = self.since.get(word).filter(|since| minor < **since) {
                return refused(format!("is known from {since} on"), "choose another".to_owned());
            }
        }
        None
    }
}

/// `Gate=true,Other=false`.
fn gates(component: Component, value: &str, minor: Minor) -> Option<Flaw> {
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
        match gone {
            Some(gone) if gone <= minor => {
                return doubtful(
                    format!("has `{gate}`, which Kubernetes has no longer from {gone} on"),
                    stops,
                );
            }
            Some(_) => continue,
            None => {}
        }
        if TABLE.known_gates.has(gate) {
            continue;
        }
        let all = TABLE.known_gates.0.iter().chain(TABLE.gates.values().flat_map(|gates| &gates.0));
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
fn plugins(value: &str, minor: Minor) -> Option<Flaw> {
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

/// The labels of Kubernetes' own domains that kubelet may give its Node.
/// Source: `k8s.io/kubelet/pkg/apis/well_known_labels.go`, enforced by kubelet's options from 1.16 on.
const OWN_LABELS: [&str; 11] = [
    "kubernetes.io/hostname",
    "kubernetes.io/arch",
    "kubernetes.io/os",
    "beta.kubernetes.io/arch",
    "beta.kubernetes.io/os",
    "beta.kubernetes.io/instance-type",
    "node.kubernetes.io/instance-type",
    "failure-domain.beta.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone",
];

fn node_labels(value: &str) -> Option<Flaw> {
    for part in value.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let Some((key, _)) = part.split_once('=') else {
            return refused(format!("has `{part}` without `=`"), "write it like `tier=web,zone=a`");
        };
        let domain = key.split_once('/').map_or("", |(domain, _)| domain);
        let is_of = |owner: &str| domain == owner || domain.ends_with(&format!(".{owner}"));
        let is_kubernetes = is_of("kubernetes.io") || is_of("k8s.io");
        let is_allowed =
            OWN_LABELS.contains(&key) || is_of("kubelet.kubernetes.io") || is_of("node.kubernetes.io");
        if is_kubernetes && !is_allowed {
            return refused(
                format!("has `{key}`, a label that kubelet may not give its own node"),
                "write it under `labels` of the nodes: windlass gives it to them",
            );
        }
    }
    None
}

/// Source: `strconv.ParseBool` of Go.
fn is_boolean(text: &str) -> bool {
    matches!(text, "1" | "t" | "T" | "true" | "TRUE" | "True" | "0" | "f" | "F" | "false" | "FALSE" | "False")
}

/// Source: `strconv.ParseInt` of Go with the base 0.
fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (radix, digits) = match digits.get(..2).map(str::to_ascii_lowercase).as_deref() {
        Some("0x") => (16, &digits[2..]),
        Some("0b") => (2, &digits[2..]),
        Some("0o") => (8, &digits[2..]),
        _ if digits.len() > 1 && digits.starts_with('0') => (8, &digits[1..]),
        _ => (10, digits),
    };
    let plain = digits.replace('_', "");
    i64::from_str_radix(&plain, radix).is_ok() && !plain.starts_with(['+', '-'])
}

/// Source: `time.ParseDuration` of Go.
fn is_duration(text: &str) -> bool {
    let mut rest = text.strip_prefix(['+', '-']).unwrap_or(text);
    if rest == "0" {
        return true;
    }
    let mut parts = 0;
    while !rest.is_empty() {
        let end = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(rest.len());
        let (number, tail) = rest.split_at(end);
        let unit_end =
            tail.find(|letter: char| letter.is_ascii_digit() || letter == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let is_number = number.bytes().any(|byte| byte.is_ascii_digit()) && number.matches('.').count() <= 1;
        if !is_number || !matches!(unit, "ns" | "us" | "µs" | "μs" | "ms" | "s" | "m" | "h") {
            return false;
        }
        parts += 1;
        rest = tail;
    }
    parts > 0
}

/// Source: `resource.ParseQuantity` of Kubernetes.
fn is_quantity(text: &str) -> bool {
    let plain = text.strip_prefix(['+', '-']).unwrap_or(text);
    let end = plain.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(plain.len());
    let (number, suffix) = plain.split_at(end);
    let is_number = number.bytes().any(|byte| byte.is_ascii_digit()) && number.matches('.').count() <= 1;
    let is_exponent = suffix.strip_prefix(['e', 'E']).is_some_and(|digits| digits.parse::<i32>().is_ok());
    let units = ["", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    is_number && (is_exponent || units.contains(&suffix))
}

fn is_percentage(text: &str) -> bool {
    text.strip_suffix('%').is_some_and(|number| number.parse::<f64>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_go_reads_them() {
        for right in ["0", "-1", "+7", "110", "0x1F", "010", "1_000"] {
            assert!(is_integer(right), "{right}");
        }
        for wrong in ["", "1O0", "1.5", "08", "10s", "--1", "0x"] {
            assert!(!is_integer(wrong), "{wrong}");
        }
        for right in ["0", "40s", "1h30m", "-1s", "1.5h", ".5s", "5m0s", "10µs"] {
            assert!(is_duration(right), "{right}");
        }
        for wrong in ["", "40", "30d", "s", "1h-", "1 h", "."] {
            assert!(!is_duration(wrong), "{wrong}");
        }
        for right in ["10Mi", "0.5", "500m", "1e3", "8G", "1Gi", "100"] {
            assert!(is_quantity(right), "{right}");
        }
        for wrong in ["", "10MB", "1gi", "1 Gi", "Mi", "10mb", "1.2.3"] {
            assert!(!is_quantity(wrong), "{wrong}");
        }
    }

    #[test]
    fn every_flag_of_the_table_is_one_of_a_component() {
        use crate::flags::{Fate, fate};
        let components = [
            Component::KubeApiserver,
            Component::KubeControllerManager,
            Component::KubeScheduler,
            Component::Kubelet,
            Component::KubeProxy,
            Component::Etcd,
        ];
        let is_known = |component, flag: &str| !matches!(fate(component, flag, None), Fate::Unknown(_));
        let Table { boolean, integer, number, duration, quantity, resources, thresholds, grace, .. } =
            &*TABLE;
        for flag in [boolean, integer, number, duration, quantity, resources, thresholds, grace]
            .into_iter()
            .flat_map(|words| &words.0)
        {
            assert!(components.into_iter().any(|component| is_known(component, flag)), "{flag}");
        }
        for (component, choices) in &TABLE.words {
            for flag in choices.keys() {
                assert!(is_known(*component, flag), "{component} {flag}");
            }
        }
    }

    #[test]
    fn windlass_gives_no_flag_a_value_that_is_wrong() {
        use crate::catalog::{Catalog, Feature, Setting};
        for minor in 8..=37 {
            let version = KubernetesVersion::new(1, minor, 9);
            let features = Feature::ALL.into_iter().collect();
            let setting = Setting { version: &version, etcd: None, features: &features };
            for component in Component::ALL {
                let recipe = Catalog::builtin().recipe(component).expect("the catalog knows all components");
                for template in recipe.flags.iter().filter_map(|entry| entry.text_in(&setting)) {
                    let Some(text) = template.fill(|name| (name == "more_admission_plugins").then_some(""))
                    else {
                        continue;
                    };
                    let Some((flag, value)) = text.trim_start_matches('-').split_once('=') else { continue };
                    assert_eq!(flaw(component, flag, value, &version), None, "{component} {text} {version}");
                }
            }
        }
    }
}
