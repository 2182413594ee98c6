//! How kubelet shares out processors and memory: the options of its policies, and what these need beside them.

use std::collections::BTreeMap;

use windlass_addons::Problems;
use windlass_spec::nearest;

use super::flaw::{Flaw, doubtful, refused};
use super::given::{Flags, Given};
use super::go::{integer, is_boolean, quantity};
use super::lists::parts;
use crate::catalog::Minor;

/// The options of the policies for processors, and the version that has each for the first time.
///
/// Source: `pkg/kubelet/cm/cpumanager/policy_options.go` of kubernetes/kubernetes.
const OF_PROCESSORS: [(&str, Minor); 6] = [
    ("full-pcpus-only", Minor(1, 22)),
    ("distribute-cpus-across-numa", Minor(1, 23)),
    ("align-by-socket", Minor(1, 25)),
    ("distribute-cpus-across-cores", Minor(1, 31)),
    ("strict-cpu-reservation", Minor(1, 32)),
    ("prefer-align-cpus-by-uncorecache", Minor(1, 32)),
];

/// The same of topology. Source: `pkg/kubelet/cm/topologymanager/policy_options.go` of kubernetes/kubernetes.
const OF_TOPOLOGY: [(&str, Minor); 2] =
    [("prefer-closest-numa-nodes", Minor(1, 26)), (MOST_NODES, Minor(1, 31))];
/// The only option that is a number.
const MOST_NODES: &str = "max-allowable-numa-nodes";

/// What is wrong with one option of a policy; the flag takes one at a time.
pub(super) fn option(flag: &str, value: &str, minor: Minor) -> Option<Flaw> {
    let options = if flag.starts_with("cpu") { &OF_PROCESSORS[..] } else { &OF_TOPOLOGY[..] };
    if value.is_empty() {
        return None;
    }
    if value.contains(',') {
        let each: Vec<&str> = parts(value).collect();
        return refused(
            "has several options, and the flag takes one",
            format!("write `extra_args_array: {{{flag}: [{}]}}`", each.join(", ")),
        );
    }
    let Some((name, state)) = value.split_once('=') else {
        return refused("has no value".to_owned(), format!("write `{value}=true`"));
    };
    let (name, state) = (name.trim(), state.trim());
    let Some((_, since)) = options.iter().find(|(known, _)| *known == name) else {
        let help = match nearest(name, options.iter().map(|(known, _)| *known)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "kubelet does not start with an option that it does not know: take it out".to_owned(),
        };
        return doubtful(format!("has `{name}`, which is no option that windlass knows of"), help);
    };
    if minor < *since {
        return doubtful(
            format!("has `{name}`, which kubelet has from {since} on"),
            "kubelet does not start with an option that it does not know: take it out",
        );
    }
    if name == MOST_NODES {
        return if integer(state).is_some() {
            None
        } else {
            refused(
                format!("has `{state}`, which is no whole number"),
                "write a number of NUMA nodes, such as `8`",
            )
        };
    }
    if is_boolean(state) {
        None
    } else {
        refused(format!("has `{state}`, which is neither true nor false"), format!("write `{name}=true`"))
    }
}

/// How much of each type of memory is kept back, over all NUMA nodes: `0:memory=1Gi,hugepages-2Mi=64Mi;1:memory=1Gi`.
///
/// Source: `ReservedMemoryVar` in `pkg/util/flag` of kubernetes/kubernetes.
pub(super) fn reserved_memory(value: &str) -> Result<BTreeMap<String, f64>, Flaw> {
    let refuse = |what: String| Flaw {
        severity: windlass_addons::Severity::Error,
        what,
        help: "write it like `0:memory=1Gi;1:memory=1Gi`".to_owned(),
    };
    let mut sums: BTreeMap<String, f64> = BTreeMap::new();
    for of_node in value.split(';').filter(|_| !value.is_empty()) {
        let Some((node, types)) = of_node.split_once(':').filter(|(_, types)| !types.contains(':')) else {
            return Err(refuse(format!("has `{of_node}` without the number of a NUMA node")));
        };
        if integer(node).is_none() {
            return Err(refuse(format!("has `{node}`, which is no number of a NUMA node")));
        }
        for part in types.split(',') {
            let Some((name, amount)) = part.split_once('=') else {
                return Err(refuse(format!("has `{part}` without `=`")));
            };
            if name != "memory" && !name.starts_with("hugepages-") {
                return Err(refuse(format!("has `{name}`, which is neither memory nor hugepages-…")));
            }
            let Some(amount) = quantity(amount) else {
                return Err(refuse(format!("has `{amount}`, which is no quantity")));
            };
            *sums.entry(name.to_owned()).or_default() += amount;
        }
    }
    Ok(sums)
}

/// Options that need a gate: the flag, the option, the versions from and before which it does, and the gate. Without an option
/// all of the flag's do.
///
/// Source: `policy_options.go` of the two managers; an option at this stage needs the gate of the stage.
const STAGES: [(&str, &str, Minor, Minor, &str); 9] = [
    ("cpu-manager-policy-options", "", Minor(1, 22), Minor(1, 23), "CPUManagerPolicyOptions"),
    (
        "cpu-manager-policy-options",
        "distribute-cpus-across-numa",
        Minor(1, 23),
        Minor(1, 33),
        "CPUManagerPolicyAlphaOptions",
    ),
    (
        "cpu-manager-policy-options",
        "align-by-socket",
        Minor(1, 25),
        Minor(1, 34),
        "CPUManagerPolicyAlphaOptions",
    ),
    (
        "cpu-manager-policy-options",
        "distribute-cpus-across-cores",
        Minor(1, 31),
        Minor(1, 34),
        "CPUManagerPolicyAlphaOptions",
    ),
    (
        "cpu-manager-policy-options",
        "strict-cpu-reservation",
        Minor(1, 32),
        Minor(1, 33),
        "CPUManagerPolicyAlphaOptions",
    ),
    (
        "cpu-manager-policy-options",
        "prefer-align-cpus-by-uncorecache",
        Minor(1, 32),
        Minor(1, 34),
        "CPUManagerPolicyAlphaOptions",
    ),
    ("topology-manager-policy-options", "", Minor(1, 26), Minor(1, 28), "TopologyManagerPolicyOptions"),
    (
        "topology-manager-policy-options",
        "prefer-closest-numa-nodes",
        Minor(1, 26),
        Minor(1, 28),
        "TopologyManagerPolicyAlphaOptions",
    ),
    (
        "topology-manager-policy-options",
        MOST_NODES,
        Minor(1, 31),
        Minor(1, 33),
        "TopologyManagerPolicyAlphaOptions",
    ),
];

/// Options whose stage is not on by itself.
fn stages(kubelet: &Flags<'_>, problems: &mut Problems) {
    for (flag, option, from, before, gate) in STAGES {
        let is_given = kubelet.values_of(flag).iter().any(|value| {
            let name = value.split('=').next().unwrap_or_default().trim();
            if option.is_empty() { !name.is_empty() } else { name == option }
        });
        let minor = kubelet.minor();
        let Some(place) = kubelet.place_of(flag).filter(|_| is_given && from <= minor && minor < before)
        else {
            continue;
        };
        if kubelet.gate(gate, "AllAlpha") != Some(true) {
            let what = if option.is_empty() { flag } else { option };
            problems.error(
                &place,
                format!("`{what}` needs the feature gate `{gate}` before {before}"),
                Some(format!("kubelet does not start without: write `feature-gates: {gate}=true` beside it")),
            );
        }
    }
}

/// Settings that kubelet does not start with together.
pub(super) fn check(kubelet: &Flags<'_>, problems: &mut Problems) {
    stages(kubelet, problems);
    let is_static = kubelet.of_file("cpu-manager-policy").is_some_and(|given| given.value == "static");
    if let Some(place) = kubelet.place_of("cpu-manager-policy-options").filter(|_| !is_static) {
        problems.error(
            &place,
            "`cpu-manager-policy-options` needs `cpu-manager-policy: static` beside it".to_owned(),
            Some("kubelet does not start with options of no policy".to_owned()),
        );
    }
    let aligns = kubelet.of_file("topology-manager-policy").is_some_and(|given| given.value != "none");
    for flag in ["topology-manager-policy-options", "topology-manager-scope"] {
        if let Some(place) = kubelet.place_of(flag).filter(|_| !aligns) {
            problems.warning(
                &place,
                format!("`{flag}` has no effect without `topology-manager-policy`"),
                Some("write `topology-manager-policy: best-effort` beside it, or take it out".to_owned()),
            );
        }
    }
    memory(kubelet, problems);
}

/// Source: `validateReservedMemory` in `pkg/kubelet/cm/memorymanager/memory_manager.go` of kubernetes/kubernetes: what is kept
/// back by NUMA nodes is as much as is kept back in all. The manager is switched on from 1.22 on.
fn memory(kubelet: &Flags<'_>, problems: &mut Problems) {
    let policy = kubelet.of_file("memory-manager-policy").filter(|given| given.value == "Static");
    let reserved = kubelet.place_of("reserved-memory");
    let (policy, place) = match (policy, reserved) {
        (None, None) => return,
        (None, Some(place)) => {
            problems.warning(
                &place,
                "`reserved-memory` has no effect without `memory-manager-policy: Static`".to_owned(),
                Some("write both, or none".to_owned()),
            );
            return;
        }
        (Some(policy), reserved) => (policy, reserved),
    };
    if !kubelet.at_least(1, 22) {
        return;
    }
    let Some(place) = place else {
        let Some(place) = policy.place else { return };
        problems.error(
            &place,
            "`memory-manager-policy: Static` needs `reserved-memory` beside it".to_owned(),
            Some(format!(
                "kubelet does not start without: write `reserved-memory: 0:memory={}`, or as much over several NUMA nodes",
                kept_back(kubelet).map_or_else(|| "…".to_owned(), mebibytes)
            )),
        );
        return;
    };
    let values = kubelet.values_of("reserved-memory");
    let sums: Result<Vec<_>, Flaw> = values.iter().map(|value| reserved_memory(value)).collect();
    // What cannot be read is reported by itself.
    let (Ok(sums), Some(kept)) = (sums, kept_back(kubelet)) else { return };
    let by_nodes: f64 = sums.iter().filter_map(|sums| sums.get("memory")).sum();
    if (by_nodes - kept).abs() >= 1.0 {
        problems.error(
            &place,
            format!(
                "`reserved-memory` keeps {} of memory back, and `kube-reserved`, `system-reserved` and `eviction-hard` \
                 together {}",
                mebibytes(by_nodes),
                mebibytes(kept)
            ),
            Some(
                "kubelet does not start where the two differ; `memory.available<100Mi` is the default of `eviction-hard`"
                    .to_owned(),
            ),
        );
    }
}

/// How much memory kubelet keeps back from pods; unknown where it depends on the machine.
fn kept_back(kubelet: &Flags<'_>) -> Option<f64> {
    let amount = |list: Option<Given>, name: &str, sign: char| -> Option<f64> {
        let Some(list) = list else { return Some(0.0) };
        let amount = parts(&list.value)
            .filter_map(|part| part.split_once(sign))
            .find(|(other, _)| other.trim() == name)
            .map(|(_, amount)| amount.trim().to_owned());
        amount.map_or(Some(0.0), |amount| quantity(&amount))
    };
    let eviction = kubelet
        .list_of_file("eviction-hard")
        .or_else(|| Some(Given { value: "memory.available<100Mi".to_owned(), place: None }));
    Some(
        amount(kubelet.list_of_file("kube-reserved"), "memory", '=')?
            + amount(kubelet.list_of_file("system-reserved"), "memory", '=')?
            + amount(eviction, "memory.available", '<')?,
    )
}

fn mebibytes(bytes: f64) -> String {
    format!("{}Mi", bytes / 1_048_576.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_is_a_known_name_with_its_value() {
        let flag = "cpu-manager-policy-options";
        let help = |value: &str| option(flag, value, Minor(1, 30)).map(|flaw| flaw.help);
        assert_eq!(help("full-pcpus-only=true"), None);
        assert_eq!(
            option("topology-manager-policy-options", "max-allowable-numa-nodes=10", Minor(1, 31)),
            None
        );
        for (wrong, expected) in [
            ("full-pcpus-only", "write `full-pcpus-only=true`"),
            ("full-pcpus-only=yes", "write `full-pcpus-only=true`"),
            ("full-pcpu-only=true", "did you mean `full-pcpus-only`?"),
            (
                "full-pcpus-only=true,align-by-socket=true",
                "write `extra_args_array: {cpu-manager-policy-options: [full-pcpus-only=true, align-by-socket=true]}`",
            ),
        ] {
            assert_eq!(help(wrong).as_deref(), Some(expected), "{wrong}");
        }
        assert!(help("strict-cpu-reservation=true").is_some(), "it came with 1.32");
    }

    #[test]
    fn memory_is_kept_back_by_nodes() {
        let sums = reserved_memory("0:memory=1Gi,hugepages-2Mi=64Mi;1:memory=1Gi").expect("it is right");
        assert_eq!(sums["memory"].to_bits(), (2.0_f64 * 1_073_741_824.0).to_bits());
        for wrong in [
            "memory=1Gi",
            "0:memory",
            "a:memory=1Gi",
            "0:cpu=1",
            "0:memory=1GB",
            "0:memory=1Gi;",
            "0:1:memory=1",
        ] {
            assert!(reserved_memory(wrong).is_err(), "{wrong}");
        }
    }
}
