//! Values of flags that belong together: each is right by itself, and the component does not start with all of them.

use windlass_addons::Problems;
use windlass_model::{Component, Role};

use super::given::{Flags, Given, place};
use super::go::{address, duration, integer, is_true, quantity};
use super::lists::{parts, ranges};
use super::{api_server, etcd, managers};
use crate::cluster::Cluster;

pub(crate) fn check(cluster: &Cluster<'_>, problems: &mut Problems) {
    let of = |component| Flags::of(component, cluster);
    if cluster.spec.services.etcd.external_urls.is_empty() {
        etcd::check(&of(Component::Etcd), problems);
    }
    api_server::check(&of(Component::KubeApiserver), problems);
    let serving = [Component::KubeApiserver, Component::KubeControllerManager, Component::KubeScheduler];
    for component in serving.into_iter().chain([Component::Kubelet]) {
        suites(&of(component), problems);
    }
    of_one_node(cluster, problems);
    for component in [Component::KubeControllerManager, Component::KubeScheduler] {
        leases(&of(component), problems);
    }
    let kubelet = of(Component::Kubelet);
    // What is in a file of kubelet's own is not known.
    if kubelet.of_file("config").is_none() {
        eviction(&kubelet, problems);
        reserved(&kubelet, problems);
        managers::check(&kubelet, problems);
        images_of_kubelet(&kubelet, problems);
        gates_of_kubelet(&kubelet, problems);
        ports_of_kubelet(&kubelet, problems);
    }
    let proxy = of(Component::KubeProxy);
    if proxy.of_file("config").is_none() {
        syncs_of_proxy(&proxy, problems);
        ipvs(&proxy, problems);
    }
}

/// Sources: `NewLeaderElector` in `tools/leaderelection` of kubernetes/client-go, `ValidateLeaderElectionConfiguration` in
/// `config/validation` of kubernetes/component-base.
fn leases(component: &Flags<'_>, problems: &mut Problems) {
    const JITTER: f64 = 1.2;
    if component.get("leader-elect").is_some_and(|given| given.value.eq_ignore_ascii_case("false")) {
        return;
    }
    let lease = component.get_or("leader-elect-lease-duration", "15s");
    let renew = component.get_or("leader-elect-renew-deadline", "10s");
    let retry = component.get_or("leader-elect-retry-period", "2s");
    let seconds = |given: &Given| duration(&given.value);
    let (Some(of_lease), Some(of_renew), Some(of_retry)) =
        (seconds(&lease), seconds(&renew), seconds(&retry))
    else {
        return;
    };
    let not_positive = [
        ("lease-duration", of_lease, &lease),
        ("renew-deadline", of_renew, &renew),
        ("retry-period", of_retry, &retry),
    ];
    let not_positive = not_positive.into_iter().find(|(_, seconds, _)| *seconds <= 0.0);
    let summary = if let Some((name, _, given)) = not_positive {
        format!("`--leader-elect-{name}={}` is not above 0", given.value)
    } else if of_lease <= of_renew {
        format!(
            "`--leader-elect-lease-duration={}` is not more than `--leader-elect-renew-deadline={}`",
            lease.value, renew.value
        )
    } else if of_renew <= of_retry * JITTER {
        format!(
            "`--leader-elect-renew-deadline={}` is not more than {JITTER} times `--leader-elect-retry-period={}`",
            renew.value, retry.value
        )
    } else {
        return;
    };
    if let Some(place) = place(&[&lease, &renew, &retry]) {
        let help = format!("{} does not start with that; its own are 15s, 10s and 2s", component.component);
        problems.error(place, summary, Some(help));
    }
}

/// The suites of which HTTP/2 requires one.
const REQUIRED: [&str; 2] =
    ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"];

/// A server of HTTP/2 does not start where a list of suites has none of those that it requires, unless it takes TLS 1.3 alone,
/// whose suites nobody chooses.
///
/// Source: `ConfigureServer` in `golang.org/x/net/http2`, called by `Serve` in `pkg/server` of kubernetes/apiserver.
fn suites(component: &Flags<'_>, problems: &mut Problems) {
    let Some(Given { value, place: Some(place) }) = component.list_of_file("tls-cipher-suites") else {
        return;
    };
    let is = |flag: &str, value: &str| component.get(flag).is_some_and(|given| given.value == value);
    // What is wrong with the names is said by itself.
    if value.is_empty()
        || component.values_of("tls-cipher-suites").iter().any(|value| {
            super::flaw(component.component, "tls-cipher-suites", value, Some(component.minor())).is_some()
        })
        || parts(&value).any(|suite| REQUIRED.contains(&suite))
        || is("tls-min-version", "VersionTLS13")
        || is("disable-http2-serving", "true")
        || is("secure-port", "0")
    {
        return;
    }
    let summary = "`tls-cipher-suites` has no suite that HTTP/2 requires".to_owned();
    let help = format!(
        "{} does not start without {}, or {}: add the first to the list",
        component.component, REQUIRED[0], REQUIRED[1]
    );
    // Kubelet's server is that of Go's library, which was read less closely.
    if component.component == Component::Kubelet {
        problems.warning(&place, summary, Some(help));
    } else {
        problems.error(&place, summary, Some(help));
    }
}

/// Values that fit one node alone, and that all of a component's get.
///
/// Sources: `validateNodeIP` in `pkg/kubelet` and `pkg/controlplane/reconcilers` of kubernetes/kubernetes.
fn of_one_node(cluster: &Cluster<'_>, problems: &mut Problems) {
    const FLAGS: [(Component, &str, &str); 5] = [
        (Component::Kubelet, "node-ip", "kubelet on the others does not find it, and its node is not ready"),
        (Component::Kubelet, "address", "kubelet on the others cannot listen there, and does not start"),
        (Component::Kubelet, "provider-id", "the cloud controller takes all nodes for one machine"),
        (Component::KubeProxy, "bind-address", "kube-proxy on the others cannot listen there"),
        (
            Component::KubeApiserver,
            "advertise-address",
            "all API servers register there, and the others get no requests",
        ),
    ];
    for (component, flag, what) in FLAGS {
        let flags = Flags::of(component, cluster);
        let Some(Given { value, place: Some(place) }) = flags.of_file(flag) else { continue };
        let nodes = if component == Component::KubeApiserver {
            flags.nodes(Role::ControlPlane)
        } else {
            cluster.nodes.len()
        };
        let is_of_all = value.is_empty()
            || address(&value).is_some_and(|address| address.is_unspecified() || address.is_loopback());
        if nodes > 1 && !is_of_all {
            problems.warning(
                &place,
                format!("`--{flag}={value}` is of one node, and {nodes} nodes get it: {what}"),
                Some(if matches!(flag, "node-ip" | "advertise-address") {
                    "take it out: windlass gives each node its own".to_owned()
                } else {
                    "take it out".to_owned()
                }),
            );
        }
    }
}

/// Source: `ParseThresholdConfig` in `pkg/kubelet/eviction/helpers.go` of kubernetes/kubernetes.
fn eviction(kubelet: &Flags<'_>, problems: &mut Problems) {
    let Some(Given { value, place: Some(place) }) = kubelet.list_of_file("eviction-soft") else { return };
    let grace =
        kubelet.list_of_file("eviction-soft-grace-period").map(|given| given.value).unwrap_or_default();
    let name = |part: &str, sign: char| part.split(sign).next().unwrap_or_default().trim().to_owned();
    let given: Vec<String> = parts(&grace).map(|part| name(part, '=')).collect();
    let lacking: Vec<String> =
        parts(&value).map(|part| name(part, '<')).filter(|signal| !given.contains(signal)).collect();
    if !lacking.is_empty() {
        problems.error(
            &place,
            format!("`eviction-soft-grace-period` has nothing for {}", lacking.join(", ")),
            Some(format!("kubelet does not start without: write it like `{}=1m30s`", lacking[0])),
        );
    }
}

/// Sources: `ValidateKubeletConfiguration` in `pkg/kubelet/apis/config/validation`, `NewStaticPolicy` in
/// `pkg/kubelet/cm/cpumanager` of kubernetes/kubernetes.
fn reserved(kubelet: &Flags<'_>, problems: &mut Problems) {
    if let Some(Given { value, place: Some(place) }) = kubelet.list_of_file("enforce-node-allocatable") {
        for kind in ["system-reserved", "kube-reserved"] {
            let cgroup = format!("{kind}-cgroup");
            if parts(&value).any(|given| given == kind) && kubelet.of_file(&cgroup).is_none() {
                let summary = format!("`{kind}` needs `{cgroup}` beside it");
                let help = Some("kubelet does not start without; `pods` alone needs none".to_owned());
                // Earlier ones look for a cgroup without a name, which some machines have.
                if kubelet.at_least(1, 20) {
                    problems.error(&place, summary, help);
                } else {
                    problems.warning(&place, summary, help);
                }
            }
        }
        if parts(&value).any(|given| given == "none") && parts(&value).count() > 1 {
            let help = "kubelet does not start with that: leave the others out";
            problems.error(&place, "`none` has others beside it".to_owned(), Some(help.to_owned()));
        }
    }
    let of_processors = |flag: &str| {
        kubelet.list_of_file(flag).is_some_and(|given| {
            let amounts = parts(&given.value).filter_map(|part| part.split_once('='));
            let mut processors = amounts.filter(|(name, _)| name.trim() == "cpu");
            processors.any(|(_, amount)| quantity(amount.trim()).is_some_and(|amount| amount > 0.0))
        })
    };
    if let Some(Given { value, place: Some(place) }) = kubelet.of_file("cpu-manager-policy")
        && value == "static"
        && kubelet.of_file("reserved-cpus").is_none()
        && !of_processors("kube-reserved")
        && !of_processors("system-reserved")
    {
        problems.error(
            &place,
            "`cpu-manager-policy: static` needs processors that are reserved".to_owned(),
            Some("kubelet does not start without: add `kube-reserved: cpu=500m`".to_owned()),
        );
    }
    if let Some(Given { place: Some(place), .. }) = kubelet.of_file("reserved-cpus") {
        for cgroup in ["system-reserved-cgroup", "kube-reserved-cgroup"] {
            if kubelet.of_file(cgroup).is_some() {
                problems.error(
                    &place,
                    format!("`reserved-cpus` cannot have `{cgroup}` beside it"),
                    Some("kubelet does not start with both: leave one out".to_owned()),
                );
            }
        }
    }
}

/// Ports of kubelet that are one: it ends where it cannot open that for reading.
///
/// Source: `ListenAndServeKubeletReadOnlyServer` in `pkg/kubelet/server/server.go` of kubernetes/kubernetes.
fn ports_of_kubelet(kubelet: &Flags<'_>, problems: &mut Problems) {
    let Some(Given { value, place: Some(place) }) = kubelet.of_file("read-only-port") else { return };
    let own = kubelet.get_or("port", "10250");
    if integer(&value).is_some_and(|port| port != 0 && integer(&own.value) == Some(port)) {
        problems.error(
            &place,
            format!("`--read-only-port={value}` is the port of kubelet itself"),
            Some(
                "kubelet does not start with that: the usual one is 10255, and 0 switches it off".to_owned(),
            ),
        );
    }
}

/// Values that kubelet takes only where a gate is on.
///
/// Source: `ValidateKubeletConfiguration` in `pkg/kubelet/apis/config/validation` of kubernetes/kubernetes.
fn gates_of_kubelet(kubelet: &Flags<'_>, problems: &mut Problems) {
    const PERIOD: &str = "CustomCPUCFSQuotaPeriod";
    const SECCOMP: &str = "SeccompDefault";
    let needs = |flag: &str, gate: &str| {
        (
            format!("`{flag}` needs the feature gate `{gate}`"),
            Some(format!("kubelet does not start without: write `feature-gates: {gate}=true` beside it")),
        )
    };
    if let Some(Given { value, place: Some(place) }) = kubelet.of_file("cpu-cfs-quota-period")
        && duration(&value).is_some_and(|seconds| (seconds - 0.1).abs() > 1e-9)
        && kubelet.at_least(1, 27)
        && kubelet.gate(PERIOD, "AllAlpha") != Some(true)
    {
        let (summary, help) = needs("cpu-cfs-quota-period", PERIOD);
        problems.error(&place, summary, help);
    }
    if let Some(Given { value, place: Some(place) }) = kubelet.of_file("seccomp-default")
        && is_true(&value)
        && kubelet.at_least(1, 22)
        && !kubelet.at_least(1, 25)
        && kubelet.gate(SECCOMP, "AllAlpha") != Some(true)
    {
        let (summary, help) = needs("seccomp-default", SECCOMP);
        problems.error(&place, summary, help);
    }
}

/// Source: `NewImageGCManager` in `pkg/kubelet/images` of kubernetes/kubernetes; later versions also refuse equal ones.
fn images_of_kubelet(kubelet: &Flags<'_>, problems: &mut Problems) {
    let low = kubelet.get_or("image-gc-low-threshold", "80");
    let high = kubelet.get_or("image-gc-high-threshold", "85");
    let (Some(low_number), Some(high_number)) = (integer(&low.value), integer(&high.value)) else { return };
    let Some(place) = place(&[&low, &high]).filter(|_| low_number >= high_number) else { return };
    let summary = format!(
        "`--image-gc-low-threshold={}` is not less than `--image-gc-high-threshold={}`",
        low.value, high.value
    );
    if low_number > high_number {
        problems.error(place, summary, Some("kubelet does not start with that".to_owned()));
    } else {
        problems.warning(place, summary, Some("later versions of kubelet do not start with that".to_owned()));
    }
}

/// Source: `validateKubeProxyIPTablesConfiguration` in `pkg/proxy/apis/config/validation` of kubernetes/kubernetes.
fn syncs_of_proxy(proxy: &Flags<'_>, problems: &mut Problems) {
    let least = proxy.get_or("iptables-min-sync-period", "1s");
    let sync = proxy.get_or("iptables-sync-period", "30s");
    let (Some(of_least), Some(of_sync)) = (duration(&least.value), duration(&sync.value)) else { return };
    if let Some(place) = place(&[&least, &sync]).filter(|_| of_sync > 0.0 && of_least > of_sync) {
        problems.error(
            place,
            format!(
                "`--iptables-min-sync-period={}` is more than `--iptables-sync-period={}`",
                least.value, sync.value
            ),
            Some("kube-proxy does not start with that".to_owned()),
        );
    }
}

/// Source: `validateKubeProxyIPVSConfiguration` in `pkg/proxy/apis/config/validation` of kubernetes/kubernetes: looked at in
/// this mode alone.
fn ipvs(proxy: &Flags<'_>, problems: &mut Problems) {
    const SCHEDULERS: [&str; 11] = ["rr", "wrr", "lc", "wlc", "lblc", "lblcr", "sh", "dh", "sed", "nq", "mh"];
    if proxy.of_file("proxy-mode").is_none_or(|given| given.value != "ipvs") {
        return;
    }
    if let Some(Given { value, place: Some(place) }) = proxy.of_file("ipvs-scheduler")
        && !value.is_empty()
        && !SCHEDULERS.contains(&value.as_str())
    {
        let help = format!("kube-proxy does not start with it: write one of {}", SCHEDULERS.join(", "));
        problems.warning(&place, format!("`--ipvs-scheduler={value}` is no scheduler of IPVS"), Some(help));
    }
    ipvs_times(proxy, problems);
    if let Some(Given { value, place: Some(place) }) = proxy.list_of_file("ipvs-exclude-cidrs")
        && let Some(flaw) = ranges(&value)
    {
        problems.error(&place, format!("`--ipvs-exclude-cidrs={value}` {}", flaw.what), Some(flaw.help));
    }
}

/// The times of the same mode.
fn ipvs_times(proxy: &Flags<'_>, problems: &mut Problems) {
    let of = |flag: &str, default: &str| {
        let given = proxy.get_or(flag, default);
        duration(&given.value).map(|seconds| (given, seconds))
    };
    for flag in [
        "ipvs-sync-period",
        "ipvs-min-sync-period",
        "ipvs-tcp-timeout",
        "ipvs-tcpfin-timeout",
        "ipvs-udp-timeout",
    ] {
        let Some((Given { value, place: Some(place) }, seconds)) = of(flag, "1s") else { continue };
        // Only this one may not be 0 either.
        if seconds < 0.0 || (seconds == 0.0 && flag == "ipvs-sync-period") {
            let help = "kube-proxy does not start with that in the mode `ipvs`";
            problems.error(&place, format!("`--{flag}={value}` is not above 0"), Some(help.to_owned()));
        }
    }
    let (Some((sync, of_sync)), Some((least, of_least))) =
        (of("ipvs-sync-period", "30s"), of("ipvs-min-sync-period", "0"))
    else {
        return;
    };
    if let Some(place) = place(&[&least, &sync]).filter(|_| of_sync > 0.0 && of_least > of_sync) {
        problems.error(
            place,
            format!(
                "`--ipvs-min-sync-period={}` is more than `--ipvs-sync-period={}`",
                least.value, sync.value
            ),
            Some("kube-proxy does not start with that".to_owned()),
        );
    }
}
