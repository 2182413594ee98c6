//! What a simulated component's parser of flags, and its own checks, refuse: it exits right after its start.
//!
//! This is a reading of pflag and of Kubernetes' and etcd's validations of its own, apart from windlass' table of values:
//! one flag at least for each kind of value.

use std::net::IpAddr;

use windlass_model::{Component, ContainerSpec};

/// What a value must be.
#[derive(Clone, Copy)]
enum Kind {
    Boolean,
    /// A whole number, from the first to the last.
    Integer(i64, i64),
    /// A duration, from this many seconds on.
    Duration(f64),
    Words(&'static [&'static str]),
    /// Words with commas between.
    ListOf(&'static [&'static str]),
    /// `name=…` with commas between, where the names are among these.
    Names(char, &'static [&'static str]),
    Address,
    Ranges,
    Quantity,
    Taints,
    NodeLabels,
    Gates,
}

use Component::{Etcd, KubeApiserver, KubeControllerManager, KubeProxy, KubeScheduler, Kubelet};

const ANY: i64 = i64::MIN;
const PORT: Kind = Kind::Integer(0, 65_535);
const ANY_DURATION: Kind = Kind::Duration(f64::NEG_INFINITY);
const SIGNALS: &[&str] = &[
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
const RESOURCES: &[&str] = &["cpu", "memory", "ephemeral-storage", "pid"];

/// Flags of one component.
#[rustfmt::skip]
const OF_ONE: &[(Component, &str, Kind)] = &[
    (KubeApiserver, "secure-port", Kind::Integer(1, 65_535)),
    (KubeApiserver, "insecure-port", PORT),
    (KubeApiserver, "allow-privileged", Kind::Boolean),
    (KubeApiserver, "anonymous-auth", Kind::Boolean),
    (KubeApiserver, "enable-aggregator-routing", Kind::Boolean),
    (KubeApiserver, "apiserver-count", Kind::Integer(1, i64::MAX)),
    (KubeApiserver, "max-requests-inflight", Kind::Integer(0, i64::MAX)),
    (KubeApiserver, "min-request-timeout", Kind::Integer(0, i64::MAX)),
    (KubeApiserver, "request-timeout", Kind::Duration(0.0)),
    (KubeApiserver, "shutdown-delay-duration", Kind::Duration(0.0)),
    (KubeApiserver, "event-ttl", ANY_DURATION),
    (KubeApiserver, "advertise-address", Kind::Address),
    (KubeApiserver, "bind-address", Kind::Address),
    (KubeApiserver, "service-cluster-ip-range", Kind::Ranges),
    (KubeApiserver, "audit-log-mode", Kind::Words(&["batch", "blocking", "blocking-strict"])),
    (KubeApiserver, "authorization-mode",
        Kind::ListOf(&["AlwaysAllow", "AlwaysDeny", "ABAC", "Webhook", "RBAC", "Node"])),
    (KubeControllerManager, "cluster-cidr", Kind::Ranges),
    (KubeControllerManager, "service-cluster-ip-range", Kind::Ranges),
    (KubeControllerManager, "allocate-node-cidrs", Kind::Boolean),
    (KubeControllerManager, "node-cidr-mask-size", Kind::Integer(0, 128)),
    (KubeControllerManager, "node-monitor-period", ANY_DURATION),
    (KubeControllerManager, "node-monitor-grace-period", ANY_DURATION),
    (KubeControllerManager, "terminated-pod-gc-threshold", Kind::Integer(ANY, i64::MAX)),
    (Kubelet, "max-pods", Kind::Integer(0, i64::MAX)),
    (Kubelet, "pods-per-core", Kind::Integer(0, i64::MAX)),
    (Kubelet, "port", Kind::Integer(1, 65_535)),
    (Kubelet, "read-only-port", PORT),
    (Kubelet, "healthz-port", PORT),
    (Kubelet, "oom-score-adj", Kind::Integer(-1_000, 1_000)),
    (Kubelet, "image-gc-high-threshold", Kind::Integer(0, 100)),
    (Kubelet, "image-gc-low-threshold", Kind::Integer(0, 100)),
    (Kubelet, "fail-swap-on", Kind::Boolean),
    (Kubelet, "serialize-image-pulls", Kind::Boolean),
    (Kubelet, "protect-kernel-defaults", Kind::Boolean),
    (Kubelet, "container-log-max-size", Kind::Quantity),
    (Kubelet, "streaming-connection-idle-timeout", ANY_DURATION),
    (Kubelet, "node-status-update-frequency", ANY_DURATION),
    (Kubelet, "volume-stats-agg-period", ANY_DURATION),
    (Kubelet, "kube-reserved", Kind::Names('=', RESOURCES)),
    (Kubelet, "system-reserved", Kind::Names('=', RESOURCES)),
    (Kubelet, "eviction-hard", Kind::Names('<', SIGNALS)),
    (Kubelet, "eviction-soft", Kind::Names('<', SIGNALS)),
    (Kubelet, "register-with-taints", Kind::Taints),
    (Kubelet, "node-labels", Kind::NodeLabels),
    (Kubelet, "address", Kind::Address),
    (Kubelet, "cgroup-driver", Kind::Words(&["cgroupfs", "systemd"])),
    (Kubelet, "cpu-manager-policy", Kind::Words(&["none", "static"])),
    (Kubelet, "memory-manager-policy", Kind::Words(&["None", "Static"])),
    (Kubelet, "topology-manager-policy",
        Kind::Words(&["none", "best-effort", "restricted", "single-numa-node"])),
    (Kubelet, "hairpin-mode", Kind::Words(&["promiscuous-bridge", "hairpin-veth", "none"])),
    (KubeProxy, "proxy-mode", Kind::Words(&["userspace", "iptables", "ipvs", "nftables"])),
    (KubeProxy, "cluster-cidr", Kind::Ranges),
    (KubeProxy, "oom-score-adj", Kind::Integer(-1_000, 1_000)),
    (KubeProxy, "iptables-min-sync-period", Kind::Duration(0.0)),
    (KubeProxy, "conntrack-tcp-timeout-established", Kind::Duration(0.0)),
    (KubeProxy, "masquerade-all", Kind::Boolean),
    (Etcd, "election-timeout", Kind::Integer(1, 50_000)),
    (Etcd, "heartbeat-interval", Kind::Integer(1, i64::MAX)),
    (Etcd, "snapshot-count", Kind::Integer(0, i64::MAX)),
    (Etcd, "quota-backend-bytes", Kind::Integer(ANY, i64::MAX)),
    (Etcd, "auto-compaction-mode", Kind::Words(&["periodic", "revision"])),
    (Etcd, "log-level", Kind::Words(&["debug", "info", "warn", "error", "dpanic", "panic", "fatal"])),
    (Etcd, "client-cert-auth", Kind::Boolean),
    (Etcd, "enable-v2", Kind::Boolean),
];

/// Flags that all programs of Kubernetes have, as far as they have them.
#[rustfmt::skip]
const OF_KUBERNETES: &[(&str, Kind)] = &[
    ("v", Kind::Integer(ANY, i64::MAX)),
    ("profiling", Kind::Boolean),
    ("leader-elect", Kind::Boolean),
    ("logtostderr", Kind::Boolean),
    ("contention-profiling", Kind::Boolean),
    ("kube-api-burst", Kind::Integer(ANY, i64::MAX)),
    ("feature-gates", Kind::Gates),
    ("logging-format", Kind::Words(&["text", "json"])),
    ("tls-min-version", Kind::Words(&["VersionTLS10", "VersionTLS11", "VersionTLS12", "VersionTLS13"])),
];

/// Why a component exits over its arguments, if it does.
pub(crate) fn refused(component: Component, spec: &ContainerSpec) -> Option<String> {
    let is_of_kubernetes =
        [KubeApiserver, KubeControllerManager, KubeScheduler, Kubelet, KubeProxy].contains(&component);
    for argument in spec.command.iter().skip(1) {
        let Some((flag, value)) = argument.strip_prefix("--").and_then(|rest| rest.split_once('=')) else {
            continue;
        };
        let own =
            OF_ONE.iter().find(|(of, name, _)| *of == component && *name == flag).map(|(.., kind)| kind);
        let shared = || {
            let shared = OF_KUBERNETES.iter().find(|(name, _)| *name == flag && is_of_kubernetes);
            shared.map(|(_, kind)| kind)
        };
        if let Some(why) = own.or_else(shared).and_then(|kind| kind.refuses(value)) {
            return Some(format!("invalid argument \"{value}\" for \"--{flag}\" flag: {why}"));
        }
    }
    together(component, spec)
}

impl Kind {
    fn refuses(self, value: &str) -> Option<String> {
        let parts = || value.split(',').map(str::trim).filter(|part| !part.is_empty());
        match self {
            Self::Boolean => {
                let known = ["1", "t", "T", "true", "TRUE", "True", "0", "f", "F", "false", "FALSE", "False"];
                (!known.contains(&value)).then(|| "strconv.ParseBool: invalid syntax".to_owned())
            }
            Self::Integer(least, most) => match whole(value) {
                None => Some("strconv.ParseInt: invalid syntax".to_owned()),
                Some(number) if number < least || number > most => {
                    Some(format!("must be from {least} to {most}"))
                }
                Some(_) => None,
            },
            Self::Duration(least) => match seconds(value) {
                None => Some(format!("time: invalid duration \"{value}\"")),
                Some(given) if given < least => Some("must not be negative".to_owned()),
                Some(_) => None,
            },
            Self::Words(words) => {
                (!value.is_empty() && !words.contains(&value)).then(|| format!("must be one of {words:?}"))
            }
            Self::ListOf(words) => {
                let wrong = parts().find(|part| !words.contains(part))?;
                Some(format!("\"{wrong}\" is not a valid mode"))
            }
            Self::Names(sign, names) => {
                let is_wrong =
                    |part: &&str| part.split_once(sign).is_none_or(|(name, _)| !names.contains(&name.trim()));
                let wrong = parts().find(is_wrong)?;
                Some(format!("unknown or malformed: {wrong}"))
            }
            Self::Address => (!value.is_empty() && value.parse::<IpAddr>().is_err())
                .then(|| "failed to parse IP".to_owned()),
            Self::Ranges => {
                let wrong = parts().find(|part| !is_range(part))?;
                Some(format!("invalid CIDR address: {wrong}"))
            }
            Self::Quantity => {
                let number = value.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
                let unit = &value[number.len()..];
                let known = ["", "k", "M", "G", "T", "P", "E", "m", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
                let is_right = number.parse::<f64>().is_ok() && known.contains(&unit);
                (!is_right).then(|| "quantities must match the regular expression".to_owned())
            }
            Self::Taints => {
                let effects = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
                let is_wrong =
                    |part: &&str| part.rsplit_once(':').is_none_or(|(_, effect)| !effects.contains(&effect));
                let wrong = parts().find(is_wrong)?;
                Some(format!("invalid taint spec: {wrong}"))
            }
            Self::NodeLabels => {
                let wrong = parts().find(|part| !may_label(part.split('=').next().unwrap_or(part)))?;
                Some(format!(
                    "unknown 'kubernetes.io' or 'k8s.io' labels specified with --node-labels: [{wrong}]"
                ))
            }
            Self::Gates => {
                let is_wrong = |part: &&str| {
                    part.split_once('=')
                        .is_none_or(|(_, state)| Self::Boolean.refuses(state.trim()).is_some())
                };
                let wrong = parts().find(is_wrong)?;
                Some(format!("missing or invalid bool value for {wrong}"))
            }
        }
    }
}

/// What a program checks among its flags.
///
/// Sources: `NewLeaderElector` in `tools/leaderelection` of kubernetes/client-go; `NewStaticPolicy` in
/// `pkg/kubelet/cm/cpumanager`; `validatePublicIPServiceClusterIPRangeIPFamilies` in `cmd/kube-apiserver/app/options`;
/// `setNodeCIDRMaskSizes` in `cmd/kube-controller-manager/app/core.go` of kubernetes/kubernetes; `Validate` in
/// `server/embed/config.go` of etcd-io/etcd.
fn together(component: Component, spec: &ContainerSpec) -> Option<String> {
    let time = |flag: &str, otherwise: f64| spec.flag(flag).and_then(seconds).unwrap_or(otherwise);
    match component {
        KubeControllerManager | KubeScheduler => {
            let (lease, renew, retry) = (
                time("leader-elect-lease-duration", 15.0),
                time("leader-elect-renew-deadline", 10.0),
                time("leader-elect-retry-period", 2.0),
            );
            let elects = spec.flag("leader-elect") != Some("false");
            if elects && lease <= renew {
                return Some("leaseDuration must be greater than renewDeadline".to_owned());
            }
            if elects && renew <= retry * 1.2 {
                return Some("renewDeadline must be greater than retryPeriod*JitterFactor".to_owned());
            }
            let ranges = spec.flag("cluster-cidr").map_or(0, |ranges| ranges.split(',').count());
            let mask = spec.flag("node-cidr-mask-size").filter(|_| component == KubeControllerManager);
            (ranges > 1 && mask.is_some())
                .then(|| "usage of --node-cidr-mask-size is not allowed with dual-stack clusters".to_owned())
        }
        KubeApiserver => {
            let first = spec.flag("service-cluster-ip-range")?.split(',').next()?;
            let range: IpAddr = first.split('/').next()?.trim().parse().ok()?;
            let own: IpAddr = spec.flag("advertise-address")?.parse().ok()?;
            let is_checked = spec.version.as_ref().is_some_and(|version| version.at_least(1, 20));
            (is_checked && range.is_ipv4() != own.is_ipv4())
                .then(|| "service IP family must match public address family".to_owned())
        }
        Kubelet => {
            let reserves = |flag: &str| {
                let prefix = format!("--{flag}=");
                let mut values =
                    spec.command.iter().filter_map(|argument| argument.strip_prefix(prefix.as_str()));
                values.any(|value| value.split(',').any(|part| part.trim().starts_with("cpu=")))
            };
            let is_static = spec.flag("cpu-manager-policy") == Some("static");
            let has_some = spec.flag("reserved-cpus").is_some_and(|cpus| !cpus.is_empty())
                || reserves("kube-reserved")
                || reserves("system-reserved");
            (is_static && !has_some).then(|| {
                "start cpu manager error: [cpumanager] the static policy requires systemreserved.cpu + \
                 kubereserved.cpu to be greater than zero"
                    .to_owned()
            })
        }
        Etcd => {
            let number = |flag: &str, otherwise| spec.flag(flag).and_then(whole).unwrap_or(otherwise);
            let (beat, election) = (number("heartbeat-interval", 100), number("election-timeout", 1_000));
            if let Some(name) = spec.env.keys().find(|name| is_shadowed(name, spec)) {
                return Some(format!(
                    "conflicting environment variable {name} is shadowed by corresponding command-line flag"
                ));
            }
            (beat.saturating_mul(5) > election)
                .then(|| format!("--election-timeout[{election}ms] should be at least as 5 times as --heartbeat-interval[{beat}ms]"))
        }
        _ => None,
    }
}

/// Whether a variable of etcd stands for a flag that it has too. Source: `verifyEnv` in `pkg/flags/flag.go` of etcd-io/etcd.
fn is_shadowed(name: &str, spec: &ContainerSpec) -> bool {
    let flag = name.strip_prefix("ETCD_").map(|name| name.replace('_', "-").to_lowercase());
    flag.is_some_and(|flag| spec.flag(&flag).is_some())
}

/// Source: `strconv.ParseInt` of Go, whose other bases nobody writes.
fn whole(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_hexadecimal = digits.starts_with("0x");
    if is_hexadecimal { i64::from_str_radix(&digits[2..], 16).ok() } else { text.parse().ok() }
}

/// Source: `time.ParseDuration` of Go.
fn seconds(text: &str) -> Option<f64> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text),
    };
    if rest == "0" {
        return Some(0.0);
    }
    let mut sum = (!rest.is_empty()).then_some(0.0)?;
    while !rest.is_empty() {
        let number = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let unit = rest[number..]
            .find(|letter: char| letter.is_ascii_digit())
            .map_or(rest.len(), |end| number + end);
        let factor = match &rest[number..unit] {
            "ns" => 1e-9,
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3_600.0,
            _ => return None,
        };
        sum += rest[..number].parse::<f64>().ok()? * factor;
        rest = &rest[unit..];
    }
    Some(sign * sum)
}

fn is_range(text: &str) -> bool {
    let Some((address, prefix)) = text.split_once('/') else { return false };
    let Ok(address) = address.parse::<IpAddr>() else { return false };
    let most = if address.is_ipv4() { 32 } else { 128 };
    prefix.parse::<u8>().is_ok_and(|prefix| prefix <= most)
}

/// Source: `IsKubeletLabel` of `k8s.io/kubelet/pkg/apis`.
fn may_label(key: &str) -> bool {
    let Some((domain, name)) = key.split_once('/') else { return true };
    let is_of = |owner: &str| domain == owner || domain.ends_with(&format!(".{owner}"));
    if !is_of("kubernetes.io") && !is_of("k8s.io") {
        return true;
    }
    is_of("node.kubernetes.io")
        || is_of("kubelet.kubernetes.io")
        || matches!(
            (domain, name),
            ("kubernetes.io" | "beta.kubernetes.io", "hostname" | "arch" | "os" | "instance-type")
                | ("failure-domain.beta.kubernetes.io" | "topology.kubernetes.io", "region" | "zone")
        )
}
