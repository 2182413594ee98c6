//! Ranges of addresses: whether components start with them, fit each other, and leave the nodes outside.

use super::hosts;
use crate::report::Reports;
use crate::spec::{Cidr, ClusterSpec, NetworkPlugin};
use crate::view::View;
use crate::yaml::Span;

/// RKE 1's ranges where the file is silent.
const SERVICE_RANGE: &str = "10.43.0.0/16";
const POD_RANGE: &str = "10.42.0.0/16";
/// How many bits of a Service's address may differ within a range, and how many addresses there are at least.
///
/// Source: `maxCIDRBits` in `cmd/kube-apiserver/app/options/validation.go`, `ServiceIPRange` in
/// `pkg/controlplane/services.go` of kubernetes/kubernetes. From 1.33 on (`MultiCIDRServiceAllocator`) ranges may be larger.
const SERVICE_BITS: u32 = 20;
const FEWEST_SERVICES: u32 = 3;
/// The length of a node's own range of pods, by family.
///
/// Source: `--node-cidr-mask-size-ipv4` and `-ipv6` of kube-controller-manager.
const NODE_MASK: (u8, u8) = (24, 64);

/// How many bits may be between the pods' range of IPv6 and a node's own.
///
/// Source: `clusterSubnetMaxDiff` in `pkg/controller/nodeipam/ipam/cidrset/cidr_set.go` of kubernetes/kubernetes.
const MOST_NODES_BITS: u8 = 16;

/// All of it.
pub(super) fn check(spec: &ClusterSpec, top: View<'_, '_>, reports: &mut Reports<'_>) {
    check_together(spec, top, reports);
    check_families(spec, top, reports);
    check_nodes(spec, top, reports);
}

fn or(ranges: &[Cidr], default: &str) -> Vec<Cidr> {
    if ranges.is_empty() { default.parse().into_iter().collect() } else { ranges.to_vec() }
}

/// Ranges with which the API server or the controller manager ends.
fn sizes(
    spec: &ClusterSpec,
    services: &[Cidr],
    pods: &[Cidr],
    place: &dyn Fn(&'static str, &str) -> (String, Span),
    reports: &mut Reports<'_>,
) {
    let is_older = spec.kubernetes_version.as_ref().is_some_and(|version| !version.at_least(1, 33));
    for range in services {
        let bits = range.bits() - u32::from(range.prefix);
        let (summary, help) = if bits > SERVICE_BITS && is_older {
            let longest = range.bits() - SERVICE_BITS;
            (
                format!("the services' range {range} is too large"),
                format!("choose a prefix of at least /{longest}"),
            )
        } else if bits < FEWEST_SERVICES {
            let shortest = range.bits() - FEWEST_SERVICES;
            (
                format!("the services' range {range} is too small"),
                format!("choose a prefix of at most /{shortest}"),
            )
        } else {
            continue;
        };
        let (path, span) = place("kube-api", "service_cluster_ip_range");
        reports.warning(path, span, summary).note("kube-apiserver ends with it").help(help);
    }
    node_masks(spec, pods, place, reports);
    if services.iter().all(|range| range.address.is_ipv4() != pods[0].address.is_ipv4()) {
        let (path, span) = place("kube-controller", "cluster_cidr");
        reports
            .warning(
                path,
                span,
                format!("pods in {} and Services in {} have no family in common", text(pods), text(services)),
            )
            .note("no pod would reach a Service")
            .help("give both a range of one family");
    }
}

/// The flag for the length of all nodes' ranges, whatever their family.
const MASK_OF_ALL: &str = "node-cidr-mask-size";
/// How many pods kubelet runs at most where nothing says otherwise (`--max-pods`).
const MOST_PODS: u32 = 110;

/// The lengths of the nodes' own ranges of pods: the controller manager takes them, and each holds the pods of a node.
///
/// Source: `setNodeCIDRMaskSizes` in `cmd/kube-controller-manager/app/core.go`, `NewNodeIpamController` in
/// `pkg/controller/nodeipam/node_ipam_controller.go` of kubernetes/kubernetes.
fn node_masks(
    spec: &ClusterSpec,
    pods: &[Cidr],
    place: &dyn Fn(&'static str, &str) -> (String, Span),
    reports: &mut Reports<'_>,
) {
    let arguments = &spec.services.kube_controller.service;
    if arguments.argument("allocate-node-cidrs").is_some_and(|given| given.value == "false") {
        return;
    }
    let at = |flag: &str| place("kube-controller", &flag.replace('-', "_"));
    let of_family = |is_ipv4| if is_ipv4 { "node-cidr-mask-size-ipv4" } else { "node-cidr-mask-size-ipv6" };
    let all = arguments.argument(MASK_OF_ALL);
    if all.is_some() && pods.len() > 1 {
        let (path, span) = at(MASK_OF_ALL);
        reports
            .error(path, span, format!("`{MASK_OF_ALL}` is for pods in one range, and here they have two"))
            .note("kube-controller-manager ends with it")
            .help("write `node-cidr-mask-size-ipv4` and `node-cidr-mask-size-ipv6`");
        return;
    }
    for is_ipv4 in [true, false] {
        let flag = of_family(is_ipv4);
        let has_range = pods.iter().any(|range| range.address.is_ipv4() == is_ipv4);
        if arguments.argument(flag).is_some() && (all.is_some() || !has_range) {
            let (path, span) = at(flag);
            let summary = if has_range {
                format!("`{flag}` has `{MASK_OF_ALL}` beside it")
            } else {
                format!("`{flag}` is for a family in which pods have no range: theirs is {}", text(pods))
            };
            reports
                .error(path, span, summary)
                .note("kube-controller-manager ends with it")
                .help(if has_range { "take one of the two out" } else { "take it out" });
            return;
        }
    }
    for range in pods {
        let is_ipv4 = range.address.is_ipv4();
        let own = if is_ipv4 { NODE_MASK.0 } else { NODE_MASK.1 };
        let flag = if all.is_some() { MASK_OF_ALL } else { of_family(is_ipv4) };
        let given = arguments.argument(flag);
        let Some(mask) = given.map_or(Some(i64::from(own)), |mask| mask.value.parse().ok()) else { continue };
        // Not given, or 0, is the default.
        let Ok(mask) = u8::try_from(if mask == 0 { i64::from(own) } else { mask }) else {
            outside(range, mask, flag, &at, reports);
            continue;
        };
        if u32::from(mask) > range.bits() {
            outside(range, i64::from(mask), flag, &at, reports);
        } else {
            node_mask(spec, range, mask, flag, place, reports);
        }
    }
}

/// A length that no address of the family has.
fn outside(
    range: &Cidr,
    mask: i64,
    flag: &str,
    at: &dyn Fn(&str) -> (String, Span),
    reports: &mut Reports<'_>,
) {
    let (path, span) = at(flag);
    reports
        .error(path, span, format!("a range of /{mask} for each node is not within the pods' range {range}"))
        .note("kube-controller-manager ends with it")
        .help(format!("write a length from {} to {}", range.prefix, range.bits()));
}

/// Whether nodes with ranges of this length fit into the pods' range, and the pods of a node into its own.
fn node_mask(
    spec: &ClusterSpec,
    range: &Cidr,
    mask: u8,
    flag: &str,
    place: &dyn Fn(&'static str, &str) -> (String, Span),
    reports: &mut Reports<'_>,
) {
    let is_given = spec.services.kube_controller.service.argument(flag).is_some();
    let (path, span) = if is_given {
        place("kube-controller", &flag.replace('-', "_"))
    } else if spec.services.pod_ranges().is_empty() {
        // It is the default, which suits fewer nodes.
        place("", "nodes")
    } else {
        place("kube-controller", "cluster_cidr")
    };
    if !range.address.is_ipv4() && mask > range.prefix && mask - range.prefix > MOST_NODES_BITS {
        let least = mask - MOST_NODES_BITS;
        reports
            .warning(
                path,
                span,
                format!("the pods' range {range} is too large for nodes with a /{mask} each"),
            )
            .note("kube-controller-manager ends with it")
            .help(format!("choose a prefix of at least /{least}, or a smaller `{flag}` under `extra_args`"));
        return;
    }
    if range.prefix > mask {
        reports
            .warning(
                path,
                span,
                format!("the pods' range {range} has no room for one node, which gets a /{mask}"),
            )
            .note("kube-controller-manager ends with it")
            .help(format!("choose a larger range, or a larger `{flag}` under `extra_args`"));
        return;
    }
    let most = spec.services.kubelet.service.argument("max-pods");
    let most = most.and_then(|given| given.value.parse().ok()).unwrap_or(MOST_PODS);
    // The first and the last address of a range are no pod's.
    let bits = range.bits() - u32::from(mask);
    let room = 1_u64.checked_shl(bits).unwrap_or(u64::MAX).saturating_sub(2);
    if is_given && room < u64::from(most) {
        reports
            .warning(
                path,
                span,
                format!("a node with a /{mask} has room for {room} pods, and kubelet runs {most}"),
            )
            .note("the pods beyond get no address")
            .help(format!("choose a smaller `{flag}`, or set `max-pods` of kubelet"));
        return;
    }
    let nodes = 1_u64.checked_shl(u32::from(mask - range.prefix)).unwrap_or(u64::MAX);
    let wanted = spec.nodes.len();
    if u64::try_from(wanted).is_ok_and(|wanted| wanted > nodes) {
        reports
            .warning(
                path,
                span,
                format!(
                    "the pods' range {range} has room for no more than {nodes} of {wanted} nodes with a /{mask} each"
                ),
            )
            .note("the nodes beyond get no range, and run no pods")
            .help(format!("choose a larger range, or a larger `{flag}` under `extra_args`"));
    }
}

/// What RKE 1 did not check: such a cluster comes up, and then its services are not reached.
fn check_together(spec: &ClusterSpec, top: View<'_, '_>, reports: &mut Reports<'_>) {
    let (own, pods) = (&spec.services.service_ranges(), &or(&spec.services.pod_ranges(), POD_RANGE));
    let api = &or(own, SERVICE_RANGE);
    let controller = &spec.services.kube_controller.service_cluster_ip_range;
    let services = top.path.key("services");
    let section = top.section("services", &services);
    // A range is at its key, or at the flag that stands for it.
    let place = |service: &'static str, name: &str| {
        if service.is_empty() {
            return (top.path.key(name).to_string(), top.span_of(name));
        }
        let arguments = match service {
            "kube-api" => &spec.services.kube_api.service,
            "kube-controller" => &spec.services.kube_controller.service,
            _ => &spec.services.kubelet.service,
        };
        let path = services.key(service);
        let service = section.section(service, &path);
        let argument = arguments.argument(&name.replace('_', "-"));
        let flag = argument.filter(|_| service.text(name).is_none()).and_then(|argument| {
            let path = path.key(argument.section);
            let entry = service.section(argument.section, &path).entry(argument.name)?;
            Some((path.key(argument.name).to_string(), entry.span()))
        });
        flag.unwrap_or_else(|| (path.key(name).to_string(), service.span_of(name)))
    };
    // What cannot be read is reported where it is, and is no default.
    let is_unread = |service: &'static str, name: &str| {
        let path = services.key(service);
        section.section(service, &path).text(name).is_some()
    };
    if own.is_empty() && is_unread("kube-api", "service_cluster_ip_range")
        || spec.services.pod_ranges().is_empty() && is_unread("kube-controller", "cluster_cidr")
    {
        return;
    }
    check_dual_stack(spec, (api, pods), &place, reports);
    if !controller.is_empty() && api != controller {
        let (path, span) = place("kube-controller", "service_cluster_ip_range");
        let whence = if own.is_empty() {
            "the default".to_owned()
        } else {
            format!("on line {}", reports.line_of(place("kube-api", "service_cluster_ip_range").1))
        };
        reports
            .warning(path, span, "kube-controller and kube-api differ in `service_cluster_ip_range`")
            .label(format!("kube-api has {}, {whence}", text(api)))
            .help("give both the same");
    }
    sizes(spec, api, pods, &place, reports);
    check_kinds(api, pods, &place, reports);
    if let Some((one, other)) =
        pods.iter().find_map(|pod| Some((pod, api.iter().find(|range| range.overlaps(pod))?)))
    {
        let key = if spec.services.pod_ranges().is_empty() {
            ("kube-api", "service_cluster_ip_range")
        } else {
            ("kube-controller", "cluster_cidr")
        };
        let (path, span) = place(key.0, key.1);
        reports
            .warning(path, span, format!("the pods' range {one} overlaps the services' range {other}"))
            .help("choose ranges that have no address in common");
    }
    check_dns(spec, api, &place, reports);
}

/// Ranges of addresses that no Service and no pod can have.
fn check_kinds(
    api: &[Cidr],
    pods: &[Cidr],
    place: &dyn Fn(&'static str, &str) -> (String, Span),
    reports: &mut Reports<'_>,
) {
    let of_services = api.iter().map(|range| (range, "Services", "kube-api", "service_cluster_ip_range"));
    let of_pods = pods.iter().map(|range| (range, "pods", "kube-controller", "cluster_cidr"));
    for (range, whose, service, key) in of_services.chain(of_pods) {
        let address = range.address.to_string();
        let Some(kind) = hosts::impossible_kind(&address).or(hosts::local_kind(&address)) else { continue };
        let (path, span) = place(service, key);
        reports
            .warning(path, span, format!("{whose} in {range}: {kind} addresses"))
            .note("no packet to such an address leaves the node that it is on")
            .help("choose a private range, such as `10.42.0.0/16` or `fd00:42::/56`");
    }
}

/// Which network plugins have room for two families.
fn check_dual_stack(
    spec: &ClusterSpec,
    (api, pods): (&[Cidr], &[Cidr]),
    place: &dyn Fn(&'static str, &str) -> (String, Span),
    reports: &mut Reports<'_>,
) {
    if api.len() > 1 {
        too_early(spec, place, reports);
    }
    if api.len() > 1 || pods.len() > 1 {
        let dual_stack = [NetworkPlugin::Calico, NetworkPlugin::Aci, NetworkPlugin::None];
        let plugin = spec.network.plugin.unwrap_or(NetworkPlugin::Canal);
        if !dual_stack.contains(&plugin) {
            let (path, span) = if pods.len() > 1 {
                place("kube-controller", "cluster_cidr")
            } else {
                place("kube-api", "service_cluster_ip_range")
            };
            let by_keys = [
                &spec.services.kube_api.service_cluster_ip_range,
                &spec.services.kube_controller.cluster_cidr,
            ];
            let summary = "two families of addresses need the network plugin calico or aci";
            // RKE 1 looked at the keys alone, and at no flags.
            let draft = if by_keys.into_iter().any(|ranges| ranges.len() > 1) {
                reports.error(path, span, summary)
            } else {
                reports.warning(path, span, summary)
            };
            draft.help("choose one of these under `network.plugin`, or give one range");
        }
    }
}

/// The address of the cluster's DNS is one of a Service, and not the API server's own.
fn check_dns(
    spec: &ClusterSpec,
    api: &[Cidr],
    place: &dyn Fn(&'static str, &str) -> (String, Span),
    reports: &mut Reports<'_>,
) {
    let first = api.first().and_then(|range| range.nth(1));
    let dns = spec.services.kubelet.cluster_dns_server.as_deref();
    let dns = dns.and_then(|server| server.split(',').next()?.trim().parse().ok());
    if let Some(server) = dns.filter(|server| Some(*server) == first) {
        let (path, span) = place("kubelet", "cluster_dns_server");
        // RKE 1 went on where DNS could not be deployed.
        reports
            .warning(path, span, format!("{server} is the address of the API server's own Service"))
            .note("it is always the first of the services' range")
            .help("choose another address of the range, its tenth as a rule");
    }
    let own =
        dns.and_then(|server| api.iter().find(|range| range.contains(server)).map(|range| (server, range)));
    if let Some((server, range)) = own.filter(|(server, range)| range.nth(0) == Some(*server)) {
        let (path, span) = place("kubelet", "cluster_dns_server");
        reports
            .warning(path, span, format!("{server} is the first address of {range}, which no Service gets"))
            .help("choose another address of the range, its tenth as a rule");
    }
    if let Some(server) = dns
        && !api.iter().any(|range| range.contains(server))
    {
        let (path, span) = place("kubelet", "cluster_dns_server");
        reports
            .warning(path, span, format!("{server} is not in the services' range {}", text(api)))
            .note("the cluster's DNS is a service, so that no pod would reach it there")
            .help("choose an address of the range, its tenth as a rule");
    }
}

/// The API server ends where its own address is of another family than the first range of Services.
///
/// Source: `validatePublicIPServiceClusterIPRangeIPFamilies` in `cmd/kube-apiserver/app/options/validation.go` of
/// kubernetes/kubernetes, from 1.20 on.
fn check_families(spec: &ClusterSpec, top: View<'_, '_>, reports: &mut Reports<'_>) {
    if spec
        .services
        .kube_api
        .service
        .argument("advertise-address")
        .is_some_and(|given| !given.value.is_empty())
    {
        advertised(spec, top, reports);
        return;
    }
    let ranges = spec.services.service_ranges();
    let is_ipv4 = ranges.first().is_none_or(|range| range.address.is_ipv4());
    let list = top.path.key("nodes");
    for (index, entries, span) in top.items("nodes") {
        let path = list.item(index);
        let view = View::new(entries, span, &path);
        let name = if view.text("internal_address").is_some() { "internal_address" } else { "address" };
        let address: Option<std::net::IpAddr> = view.text(name).and_then(|text| text.parse().ok());
        let Some(address) = address.filter(|address| address.to_canonical().is_ipv4() != is_ipv4) else {
            continue;
        };
        // An address that nobody reaches is reported by itself.
        let text = view.text(name).unwrap_or_default();
        if hosts::impossible_kind(text).or(hosts::local_kind(text)).is_some() {
            continue;
        }
        let is_control_plane = view.text("role") == Some("controlplane")
            || view.texts("role").iter().any(|(_, role, _)| *role == "controlplane");
        if !is_control_plane {
            continue;
        }
        let (own, first) = if is_ipv4 { ("IPv6", "IPv4") } else { ("IPv4", "IPv6") };
        let range = ranges.first().map_or_else(|| SERVICE_RANGE.to_owned(), ToString::to_string);
        let summary = format!("an API server at the {own} address {address}, and Services in {range}");
        let is_checked = spec.kubernetes_version.as_ref().is_none_or(|version| version.at_least(1, 20));
        let draft = if is_checked {
            reports.error(path.key(name), view.span_of(name), summary)
        } else {
            reports.warning(path.key(name), view.span_of(name), summary)
        };
        draft.label(format!("the first range of Services is {first}")).help(format!(
            "the API server starts only where both are of one family: write the {own} range first in \
                 `service_cluster_ip_range` and `cluster_cidr`"
        ));
        // What is so of one is so of all.
        return;
    }
}

/// The address that API servers register, where a flag gives it.
///
/// Sources: as above; `ValidateEndpointIP` in `pkg/apis/core/validation` of kubernetes/kubernetes, which lets no Service have
/// an address that means another machine to everybody.
fn advertised(spec: &ClusterSpec, top: View<'_, '_>, reports: &mut Reports<'_>) {
    let Some(argument) = spec.services.kube_api.service.argument("advertise-address") else { return };
    let Ok(address) = argument.value.trim().parse::<std::net::IpAddr>() else { return };
    let (services, api, section) = ("services", "kube-api", argument.section);
    let path = top.path.key(services);
    let view = top.section(services, &path);
    let path = path.key(api);
    let view = view.section(api, &path);
    let path = path.key(section);
    let span = view.section(section, &path).span_of(argument.name);
    let path = path.key(argument.name);
    if let Some(kind) = hosts::local_kind(argument.value).filter(|_| !address.is_unspecified()) {
        reports
            .warning(path, span, format!("API servers register {address}: {kind} addresses"))
            .note("no pod reaches the API by an address that means another machine to everybody")
            .help("take it out: windlass gives each API server the address of its node");
        return;
    }
    let ranges = spec.services.service_ranges();
    let is_ipv4 = ranges.first().is_none_or(|range| range.address.is_ipv4());
    if address.to_canonical().is_ipv4() == is_ipv4 || address.is_unspecified() {
        return;
    }
    let (own, first) = if is_ipv4 { ("IPv6", "IPv4") } else { ("IPv4", "IPv6") };
    let range = ranges.first().map_or_else(|| SERVICE_RANGE.to_owned(), ToString::to_string);
    let summary = format!("an API server at the {own} address {address}, and Services in {range}");
    let is_checked = spec.kubernetes_version.as_ref().is_none_or(|version| version.at_least(1, 20));
    let draft =
        if is_checked { reports.error(path, span, summary) } else { reports.warning(path, span, summary) };
    draft
        .label(format!("the first range of Services is {first}"))
        .help("the API server starts only where both are of one family: take the flag out, or write its range first");
}

/// The first version that has two families without a feature gate.
const TWO_FAMILIES: (u32, u32) = (1, 21);

/// API servers before take a second range only where the gate `IPv6DualStack` is on.
///
/// Source: `validateClusterIPFlags` in `cmd/kube-apiserver/app/options/validation.go` of kubernetes/kubernetes.
fn too_early(
    spec: &ClusterSpec,
    place: &dyn Fn(&'static str, &str) -> (String, Span),
    reports: &mut Reports<'_>,
) {
    let (major, minor) = TWO_FAMILIES;
    let Some(version) = spec.kubernetes_version.as_ref().filter(|version| !version.at_least(major, minor))
    else {
        return;
    };
    let gates = spec.services.kube_api.service.argument("feature-gates");
    let is_on = |gates: &str| {
        let mut gates = gates.split(',').map(|gate| gate.replace(' ', ""));
        gates.any(|gate| matches!(gate.as_str(), "IPv6DualStack=true" | "AllAlpha=true"))
    };
    if gates.is_none_or(|gates| !is_on(gates.value)) {
        let (path, span) = place("kube-api", "service_cluster_ip_range");
        reports
            .warning(path, span, format!("two families of addresses, and {version} has them behind a feature gate"))
            .note("the API server ends with two ranges of Services without it")
            .help("give one range, a version from 1.21 on, or `feature-gates: IPv6DualStack=true` to all components");
    }
}

/// A node inside a range of the cluster's own is cut off from what is behind it.
fn check_nodes(spec: &ClusterSpec, top: View<'_, '_>, reports: &mut Reports<'_>) {
    let services = or(&spec.services.service_ranges(), SERVICE_RANGE);
    let pods = or(&spec.services.pod_ranges(), POD_RANGE);
    let list = top.path.key("nodes");
    let mut reported = 0;
    for (index, entries, span) in top.items("nodes") {
        let path = list.item(index);
        let view = View::new(entries, span, &path);
        for name in ["address", "internal_address"] {
            let Some(address) = view.text(name).and_then(|text| text.parse().ok()) else { continue };
            let within = |ranges: &[Cidr]| ranges.iter().find(|range| range.contains(address)).copied();
            let found = within(&services).map(|range| ("services'", range));
            if let Some((whose, range)) = found.or(within(&pods).map(|range| ("pods'", range)))
                && reported < MAX_NODES_NAMED
            {
                reported += 1;
                reports
                    .warning(
                        path.key(name),
                        view.span_of(name),
                        format!("{address} is in the {whose} range {range}"),
                    )
                    .note("pods will not reach this node by that address")
                    .help("choose another range, before the cluster is brought up");
            }
        }
    }
}

/// Of a whole network in the wrong range, a few nodes say enough.
const MAX_NODES_NAMED: usize = 3;

fn text(ranges: &[Cidr]) -> String {
    ranges.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}
