//! Values that are lists: reserved resources, thresholds of eviction, labels, taints, ranges, URLs.

use std::collections::BTreeSet;
use std::net::IpAddr;

use windlass_spec::{Cidr, label_key_flaw, label_value_flaw, nearest};

use super::flaw::{Flaw, doubtful, refused};
use super::go::{duration, percentage, quantity};
use crate::catalog::Minor;

/// What kubelet can keep back for the system and for itself.
///
/// Source: `parseResourceList` in `cmd/kubelet/app/server.go` of kubernetes/kubernetes.
const RESERVED: [&str; 4] = ["cpu", "memory", "ephemeral-storage", "pid"];

/// What kubelet evicts pods by.
///
/// Source: `signalToResource` in `pkg/kubelet/eviction/helpers.go` of kubernetes/kubernetes.
const SIGNALS: [&str; 9] = [
    "memory.available",
    "allocatableMemory.available",
    "nodefs.available",
    "nodefs.inodesFree",
    "imagefs.available",
    "imagefs.inodesFree",
    "containerfs.available",
    "containerfs.inodesFree",
    "pid.available",
];

/// The parts of a list with commas between.
pub(super) fn parts(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim).filter(|part| !part.is_empty())
}

/// What the parser of lists makes of blanks, line ends and stray commas: names that nobody knows, or less than is written.
///
/// Source: `readAsCSV` of spf13/pflag, which trims nothing and reads one line.
pub(super) fn stray(value: &str) -> Option<Flaw> {
    let plain = || parts(value).flat_map(str::lines).map(str::trim).collect::<Vec<_>>().join(",");
    let whole = value.trim_end_matches(['\n', '\r']);
    if whole.contains('\n') {
        return doubtful(
            "has several lines, of which the first alone counts",
            format!("write `{}`", plain()),
        );
    }
    for part in whole.split(',').filter(|_| !whole.is_empty()) {
        if part.trim().is_empty() {
            return doubtful("has a comma with nothing beside it", format!("write `{}`", plain()));
        }
        if part.trim() != part {
            return refused(
                format!("has `{part}`: the blank is taken for a part of the name"),
                format!("write `{}`", plain()),
            );
        }
    }
    None
}

/// Parts of a list with blanks or `;` between in place of commas: a name with one in it nobody knows.
pub(super) fn unseparated(value: &str) -> Option<Flaw> {
    let is_between = |letter: char| letter == ';' || (letter.is_whitespace() && !"\n\r".contains(letter));
    let several = |part: &str| part.split(is_between).filter(|word| !word.is_empty()).count() > 1;
    let wrong = parts(value).find(|part| several(part))?;
    let all = value.split(|letter: char| letter == ',' || letter == ';' || letter.is_whitespace());
    let all: Vec<&str> = all.filter(|word| !word.is_empty()).collect();
    refused(format!("has `{wrong}`, and a list has commas between"), format!("write `{}`", all.join(",")))
}

/// A list of names with values.
struct Pairs {
    sign: char,
    names: &'static [&'static str],
    what: &'static str,
    example: &'static str,
}

impl Pairs {
    fn flaw(&self, value: &str, of_amount: impl Fn(&str) -> Option<Flaw>) -> Option<Flaw> {
        let Self { sign, names, what, example } = self;
        let help = || format!("write it like `{example}`");
        let mut seen = BTreeSet::new();
        for part in parts(value) {
            let Some((name, amount)) = part.split_once(*sign) else {
                return refused(format!("has `{part}` without `{sign}`"), help());
            };
            let (name, amount) = (name.trim(), amount.trim());
            if !names.contains(&name) {
                let help = match nearest(name, names.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("{what} are {}", names.join(", ")),
                };
                return refused(format!("has `{name}`, which kubelet does not know"), help);
            }
            if let Some(flaw) = of_amount(amount) {
                return Some(Flaw { help: if flaw.help.is_empty() { help() } else { flaw.help }, ..flaw });
            }
            if !seen.insert(name) {
                return doubtful(format!("has `{name}` twice"), "leave one of the two out");
            }
        }
        None
    }
}

pub(super) fn resources(value: &str) -> Option<Flaw> {
    let pairs = Pairs {
        sign: '=',
        names: &RESERVED,
        what: "resources that can be reserved",
        example: "cpu=500m,memory=1Gi",
    };
    pairs.flaw(value, |amount| match quantity(amount) {
        None => refused(format!("has `{amount}`, which is no quantity"), ""),
        Some(number) if number < 0.0 => refused(format!("has `{amount}`, which is below 0"), ""),
        Some(_) => None,
    })
}

pub(super) fn thresholds(value: &str) -> Option<Flaw> {
    let pairs = Pairs {
        sign: '<',
        names: &SIGNALS,
        what: "signals of eviction",
        example: "memory.available<500Mi,nodefs.available<10%",
    };
    pairs.flaw(value, |amount| match (percentage(amount), quantity(amount)) {
        (Some(share), _) if share < 0.0 => refused(format!("has `{amount}`, which is below 0"), ""),
        // Only later versions look at it; then the threshold is always reached.
        (Some(share), _) if share > 100.0 => {
            doubtful(format!("has `{amount}`, which is more than there is"), "")
        }
        (None, Some(number)) if number <= 0.0 => {
            refused(format!("has `{amount}`, which is not above 0"), "write `0%` to switch a threshold off")
        }
        (None, None) => refused(format!("has `{amount}`, which is no quantity or percentage"), ""),
        _ => None,
    })
}

pub(super) fn reclaims(value: &str) -> Option<Flaw> {
    let pairs = Pairs {
        sign: '=',
        names: &SIGNALS,
        what: "signals of eviction",
        example: "memory.available=500Mi,nodefs.available=1Gi",
    };
    pairs.flaw(value, |amount| {
        let is_right = percentage(amount).or_else(|| quantity(amount)).is_some_and(|number| number >= 0.0);
        if is_right {
            None
        } else {
            refused(format!("has `{amount}`, which is no quantity or percentage"), "")
        }
    })
}

pub(super) fn grace(value: &str) -> Option<Flaw> {
    let pairs =
        Pairs { sign: '=', names: &SIGNALS, what: "signals of eviction", example: "memory.available=1m30s" };
    pairs.flaw(value, |amount| match duration(amount) {
        None => refused(format!("has `{amount}`, which is no duration"), ""),
        Some(seconds) if seconds < 0.0 => refused(format!("has `{amount}`, which is below 0"), ""),
        Some(_) => None,
    })
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

/// The first version whose kubelet ends with labels that it may not give.
const LABELS_REFUSED: Minor = Minor(1, 16);

/// `key=value,other=`; a key alone has an empty value.
pub(super) fn node_labels(value: &str, minor: Minor) -> Option<Flaw> {
    for part in parts(value) {
        let (key, label) = part.split_once('=').unwrap_or((part, ""));
        let (key, label) = (key.trim(), label.trim());
        // The API server takes no Node with such a label.
        if let Some(why) = label_key_flaw(key) {
            return refused(format!("has `{key}`, which is no key of a label"), why);
        }
        if let Some(why) = label_value_flaw(label) {
            return refused(format!("has `{label}`, which is no value of a label"), why);
        }
        let domain = key.split_once('/').map_or("", |(domain, _)| domain);
        let is_of = |owner: &str| domain == owner || domain.ends_with(&format!(".{owner}"));
        let is_kubernetes = is_of("kubernetes.io") || is_of("k8s.io");
        let is_allowed =
            OWN_LABELS.contains(&key) || is_of("kubelet.kubernetes.io") || is_of("node.kubernetes.io");
        if is_kubernetes && !is_allowed {
            let tell = if minor < LABELS_REFUSED { doubtful } else { refused };
            return tell(
                format!("has `{key}`, a label that kubelet may not give its own node"),
                "write it under `labels` of the nodes: windlass gives it to them",
            );
        }
    }
    None
}

/// `key=value:Effect,…`.
///
/// Source: `ParseTaints` in `pkg/util/taints/taints.go` of kubernetes/kubernetes.
pub(super) fn taints(value: &str) -> Option<Flaw> {
    const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
    let mut seen = BTreeSet::new();
    for part in parts(value) {
        let help = "write it like `dedicated=gpu:NoSchedule`";
        let Some((taint, effect)) = part.split_once(':') else {
            return refused(format!("has `{part}` without an effect"), help);
        };
        if !EFFECTS.contains(&effect) {
            let help = match nearest(effect, EFFECTS) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the effects are {}", EFFECTS.join(", ")),
            };
            return refused(format!("has `{effect}`, which is no effect of a taint"), help);
        }
        let (key, value) = taint.split_once('=').unwrap_or((taint, ""));
        if let Some(why) = label_key_flaw(key) {
            return refused(format!("has `{key}`, which is no key of a taint"), why);
        }
        if let Some(why) = label_value_flaw(value) {
            return refused(format!("has `{value}`, which is no value of a taint"), why);
        }
        if !seen.insert((key, effect)) {
            return refused(format!("has `{key}` twice with {effect}"), "leave one of the two out");
        }
    }
    None
}

/// Ranges of addresses, with no blanks: the components take none off.
pub(super) fn ranges(value: &str) -> Option<Flaw> {
    for part in value.split(',').filter(|_| !value.is_empty()) {
        let Err(_) = part.parse::<Cidr>() else { continue };
        if part.trim().parse::<Cidr>().is_ok() {
            let plain: Vec<&str> = parts(value).collect();
            return refused(
                format!("has a blank beside `{}`, which is taken for a part of it", part.trim()),
                format!("write `{}`", plain.join(",")),
            );
        }
        return refused(
            format!("has `{part}`, which is no range of addresses"),
            "write an address and a prefix length, as in `10.42.0.0/16`",
        );
    }
    None
}

/// One range, or one of each family.
///
/// Source: `validateClusterIPFlags` in `cmd/kube-apiserver/app/options/validation.go` of kubernetes/kubernetes.
pub(super) fn families(value: &str) -> Option<Flaw> {
    ranges(value).or_else(|| {
        let given: Vec<Cidr> = parts(value).filter_map(|part| part.parse().ok()).collect();
        let is_right = match given[..] {
            [] | [_] => true,
            [one, other] => one.address.is_ipv4() != other.address.is_ipv4(),
            _ => false,
        };
        if is_right {
            None
        } else {
            refused("has more than one range of a family", "give one range, or one of IPv4 and one of IPv6")
        }
    })
}

/// The first version whose kube-proxy knows the word for the node's own addresses.
const PRIMARY: Minor = Minor(1, 30);

/// Ranges, or the word `primary` alone.
///
/// Source: `validateKubeProxyNodePortAddress` in `pkg/proxy/apis/config/validation` of kubernetes/kubernetes.
pub(super) fn node_port_ranges(value: &str, minor: Option<Minor>) -> Option<Flaw> {
    if !parts(value).any(|part| part == "primary") {
        return ranges(value);
    }
    if minor.is_some_and(|minor| minor < PRIMARY) {
        return doubtful(
            format!("has `primary`, which kube-proxy knows from {PRIMARY} on"),
            "write the ranges of the nodes' addresses",
        );
    }
    if value == "primary" {
        None
    } else {
        doubtful("has `primary` with others beside it", "write `primary` alone")
    }
}

/// `memory=50%`.
///
/// Source: `ParseQOSReserved` in `pkg/kubelet/cm` of kubernetes/kubernetes.
pub(super) fn shares(value: &str) -> Option<Flaw> {
    let pairs = Pairs {
        sign: '=',
        names: &["memory"],
        what: "resources of which shares can be kept",
        example: "memory=50%",
    };
    pairs.flaw(value, |share| {
        if percentage(share).is_some_and(|share| (0.0..=100.0).contains(&share)) {
            None
        } else {
            refused(format!("has `{share}`, which is no percentage"), "")
        }
    })
}

/// URLs without a path: the programs of etcd take no others.
///
/// Source: `NewURLs` in `client/pkg/types/urls.go` of etcd-io/etcd.
pub(super) fn urls(value: &str) -> Option<Flaw> {
    for url in value.split(',') {
        let refuse =
            |why: &str| refused(format!("has `{url}`: {why}"), "write it like `https://10.0.0.1:2379`");
        let Some((scheme, rest)) = url.trim().split_once("://") else {
            return refuse("it is no URL");
        };
        match scheme {
            "unix" | "unixs" => continue,
            "http" | "https" => {}
            _ => return refuse("its scheme is neither http nor https"),
        }
        let Some((host, port)) = rest.rsplit_once(':').filter(|(host, _)| !host.is_empty()) else {
            return refuse("it has no port");
        };
        if port.contains('/') || host.contains('/') {
            return refuse("it has a path");
        }
        if port.parse::<u16>().is_err() {
            return refuse("its port is no number from 0 to 65535");
        }
    }
    None
}

/// URLs that etcd listens on: their hosts are addresses.
///
/// Source: `checkBindURLs` in `server/embed/config.go` of etcd-io/etcd.
pub(super) fn bind_urls(value: &str) -> Option<Flaw> {
    let host = |url: &str| {
        let (scheme, rest) = url.trim().split_once("://")?;
        let (host, _) = rest.rsplit_once(':')?;
        scheme.starts_with("http").then(|| host.trim_start_matches('[').trim_end_matches(']').to_owned())
    };
    urls(value).or_else(|| {
        let is_address = |host: &str| host == "localhost" || host.parse::<IpAddr>().is_ok();
        let wrong = value.split(',').filter_map(host).find(|host| !is_address(host))?;
        refused(
            format!("has `{wrong}`, which is no address to listen on"),
            "etcd listens on addresses: write one, or `0.0.0.0`",
        )
    })
}
