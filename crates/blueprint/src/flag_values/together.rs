//! Values of flags that belong together: each is right by itself, and the component does not start with all of them.

use windlass_addons::Problems;
use windlass_model::Component;

use super::given::{Flags, Given};
use super::go::{duration, integer, quantity};
use super::lists::{parts, ranges};
use super::managers;
use crate::cluster::Cluster;

pub(crate) fn check(cluster: &Cluster<'_>, problems: &mut Problems) {
    let of = |component| Flags::of(component, cluster);
    if cluster.spec.services.etcd.external_urls.is_empty() {
        let etcd = of(Component::Etcd);
        elections_of_etcd(&etcd, problems);
        variables_of_etcd(&etcd, problems);
    }
    authentication(&of(Component::KubeApiserver), problems);
    admission(&of(Component::KubeApiserver), problems);
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
    }
    let proxy = of(Component::KubeProxy);
    if proxy.of_file("config").is_none() {
        syncs_of_proxy(&proxy, problems);
        ipvs(&proxy, problems);
    }
}

/// The place to report two values at: that of the first that cluster.yml gives; none where it gives none.
fn place<'g>(given: &[&'g Given]) -> Option<&'g str> {
    given.iter().find_map(|given| given.place.as_deref())
}

/// Source: `Validate` in `server/embed/config.go` of etcd-io/etcd.
fn elections_of_etcd(etcd: &Flags<'_>, problems: &mut Problems) {
    const TIMES: i64 = 5;
    let (beat, election) =
        (etcd.get_or("heartbeat-interval", "100"), etcd.get_or("election-timeout", "1000"));
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

/// A variable of a flag that is given too.
///
/// Source: `verifyEnv` in `pkg/flags/flag.go` of etcd-io/etcd, from 3.4 on.
fn variables_of_etcd(etcd: &Flags<'_>, problems: &mut Problems) {
    for (name, place) in etcd.variables() {
        let Some(flag) = name.strip_prefix("ETCD_").map(|name| name.replace('_', "-").to_lowercase()) else {
            continue;
        };
        let is_of_file = etcd.place_of(&flag).is_some();
        let is_of_birth = Component::Etcd.nature().birth_flags.contains(&flag.as_str());
        if !is_of_file && !is_of_birth && !etcd.is_given_by_windlass(&flag) {
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

/// Sources: `BuiltInAuthenticationOptions.Validate` and `BuiltInAuthorizationOptions.Validate` in
/// `pkg/kubeapiserver/options` of kubernetes/kubernetes.
fn authentication(api: &Flags<'_>, problems: &mut Problems) {
    match (api.of_file("oidc-issuer-url"), api.of_file("oidc-client-id")) {
        (Some(Given { place: Some(place), .. }), None) => problems.error(
            &place,
            "`oidc-issuer-url` needs `oidc-client-id` beside it".to_owned(),
            Some("the API server does not start without".to_owned()),
        ),
        (None, Some(Given { place: Some(place), .. })) => problems.warning(
            &place,
            "`oidc-client-id` has no effect without `oidc-issuer-url`".to_owned(),
            Some("give both, or none".to_owned()),
        ),
        _ => {}
    }
    let Some(Given { value, place: Some(place) }) = api.list_of_file("authorization-mode") else { return };
    for (mode, flag) in
        [("ABAC", "authorization-policy-file"), ("Webhook", "authorization-webhook-config-file")]
    {
        if parts(&value).any(|given| given == mode) && api.of_file(flag).is_none() {
            problems.error(
                &place,
                format!("`{mode}` needs `{flag}` beside it"),
                Some(
                    "the API server does not start without; a file on the node is mounted by `extra_binds`"
                        .to_owned(),
                ),
            );
        }
    }
}

/// Source: `AdmissionOptions.Validate` in `pkg/kubeapiserver/options` and in `k8s.io/apiserver/pkg/server/options` of
/// kubernetes/kubernetes, from 1.10 on.
fn admission(api: &Flags<'_>, problems: &mut Problems) {
    if !api.at_least(1, 10) {
        return;
    }
    if let Some(Given { place: Some(place), .. }) = api.of_file("admission-control") {
        problems.error(
            &place,
            "the API server takes `admission-control` or `enable-admission-plugins`, and gets the second"
                .to_owned(),
            Some("write the list under `enable-admission-plugins`".to_owned()),
        );
    }
    let (Some(enabled), Some(disabled)) =
        (api.whole_list("enable-admission-plugins"), api.list_of_file("disable-admission-plugins"))
    else {
        return;
    };
    let both: Vec<&str> =
        parts(&disabled.value).filter(|plugin| parts(&enabled.value).any(|other| other == *plugin)).collect();
    if let Some(place) = disabled.place.filter(|_| !both.is_empty()) {
        let whose = if enabled.place.is_some() { "" } else { "windlass' own list of " };
        let is = if both.len() == 1 { "is" } else { "are" };
        problems.error(
            &place,
            format!("{} {is} in {whose}`enable-admission-plugins` too", both.join(", ")),
            Some(
                "the API server does not start with that: give `enable-admission-plugins` without".to_owned(),
            ),
        );
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
