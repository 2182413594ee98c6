//! `CoreDNS`: DNS names of Services, in objects named as by RKE 1.

mod autoscaler;
mod corefile;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use windlass_model::{AddonKind, DesiredAddon, DesiredObject};
use windlass_spec::ClusterSpec;

use crate::objects::{
    APP, NAMESPACE, WORKER, config_map, on_nodes_with, option, os_label, roles, service_account,
    tolerate_all, tolerations,
};
use crate::problem::Problems;
use crate::{Wanted, strategy};

/// The keys of its images.
pub(crate) const IMAGES: [&str; 2] = ["coredns", "coredns_autoscaler"];

/// Its account, Deployment and configuration.
const NAME: &str = "coredns";
const ROLE: &str = "system:coredns";
const COREFILE: &str = "Corefile";
/// The label of its pods and the name of its Service: those of kube-dns, by which clients and monitoring find
/// either.
const KUBE_DNS: &str = "kube-dns";

/// Where cluster.yml asks for it, or for kube-dns; and where windlass deploys the network that its pods need, unless
/// cluster.yml says `none`.
pub(crate) fn is_desired(spec: &ClusterSpec) -> bool {
    match spec.dns.provider.as_deref() {
        Some(provider) => provider != "none",
        None => crate::flannel::is_desired(spec),
    }
}

/// Reports settings that `CoreDNS` cannot use.
pub(crate) fn check(spec: &ClusterSpec, problems: &mut Problems) {
    let dns = &spec.dns;
    if dns.provider.as_deref() == Some(KUBE_DNS) {
        problems.warning(
            "dns.provider",
            "CoreDNS is deployed in the place of kube-dns, which nobody maintains any more".to_owned(),
            Some("write `coredns`".to_owned()),
        );
    }
    corefile::check(dns, problems);
    autoscaler::check(dns, problems);
    strategy::check(dns.update_strategy.as_ref(), "25%", "dns.update_strategy", problems);
}

pub(crate) fn addon(wanted: &Wanted<'_>) -> Option<DesiredAddon> {
    if !is_desired(wanted.spec) {
        return None;
    }
    let [coredns, autoscaler] = IMAGES.map(|key| wanted.images.get(key));
    let (coredns, autoscaler) = (coredns?, autoscaler?);
    let mut bodies = vec![service_account(NAME)];
    if wanted.has_roles() {
        bodies.extend(roles(ROLE, NAME, &rules()));
    }
    let corefile = corefile::corefile(&wanted.spec.dns, wanted.cluster_domain, ready_plugin(wanted));
    bodies.extend([
        config_map(NAME, &BTreeMap::from([(COREFILE, corefile)])),
        service(wanted.cluster_dns),
        deployment(wanted, coredns),
    ]);
    bodies.extend(autoscaler::objects(wanted, autoscaler));
    Some(DesiredAddon {
        name: NAME.to_owned(),
        objects: bodies.into_iter().map(|body| DesiredObject::new(AddonKind::Dns, body)).collect(),
        origin: wanted.spec.dns.provider.as_ref().map(|_| "dns.provider".into()),
    })
}

/// Source: <https://github.com/coredns/deployment/blob/master/kubernetes/coredns.yaml.sed>.
fn rules() -> Value {
    json!([
        {
            "apiGroups": [""],
            "resources": ["endpoints", "services", "pods", "namespaces"],
            "verbs": ["list", "watch"],
        },
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
    ])
}

fn service(address: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": KUBE_DNS,
            "namespace": NAMESPACE,
            "annotations": {"prometheus.io/port": "9153", "prometheus.io/scrape": "true"},
            "labels": {
                APP: KUBE_DNS,
                "kubernetes.io/cluster-service": "true",
                "kubernetes.io/name": "CoreDNS",
            },
        },
        "spec": {
            "selector": {APP: KUBE_DNS},
            "clusterIP": address,
            "ports": [
                {"name": "dns", "port": 53, "protocol": "UDP"},
                {"name": "dns-tcp", "port": 53, "protocol": "TCP"},
                {"name": "metrics", "port": 9153, "protocol": "TCP"},
            ],
        },
    })
}

/// Without a number of replicas: the autoscaler sets it.
fn deployment(wanted: &Wanted<'_>, image: &str) -> Value {
    let dns = &wanted.spec.dns;
    let mut selector = dns.node_selector.clone();
    selector.insert(os_label(wanted.version).to_owned(), "linux".to_owned());
    let tolerations = if dns.tolerations.is_empty() {
        let mut all = tolerate_all();
        if let Some(list) = all.as_array_mut() {
            list.insert(0, json!({"key": "CriticalAddonsOnly", "operator": "Exists"}));
        }
        all
    } else {
        tolerations(&dns.tolerations)
    };
    // With the provider kube-dns come the options of kube-dns.
    let class = |name: &str| option(&dns.options, name);
    let priority = class("coredns_priority_class_name")
        .or_else(|| class("kube_dns_priority_class_name"))
        .unwrap_or("system-cluster-critical");
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": NAME,
            "namespace": NAMESPACE,
            "labels": {APP: KUBE_DNS, "kubernetes.io/name": "CoreDNS"},
        },
        "spec": {
            "selector": {"matchLabels": {APP: KUBE_DNS}},
            "strategy": strategy::of_deployment(
                dns.update_strategy.as_ref(),
                &json!({"maxUnavailable": 1, "maxSurge": 0}),
            ),
            "template": {
                "metadata": {"labels": {APP: KUBE_DNS}},
                "spec": {
                    "affinity": {"nodeAffinity": on_nodes_with(WORKER, &[]), "podAntiAffinity": apart()},
                    "containers": [container(wanted, image)],
                    // The name servers of the node: with those of the cluster CoreDNS would ask itself.
                    "dnsPolicy": "Default",
                    "nodeSelector": selector,
                    "priorityClassName": priority,
                    "serviceAccountName": NAME,
                    "tolerations": tolerations,
                    "volumes": [{
                        "name": "config-volume",
                        "configMap": {"name": NAME, "items": [{"key": COREFILE, "path": COREFILE}]},
                    }],
                },
            },
        },
    })
}

/// On different nodes, as far as there are enough.
fn apart() -> Value {
    json!({"preferredDuringSchedulingIgnoredDuringExecution": [{
        "weight": 100,
        "podAffinityTerm": {
            "labelSelector": {"matchExpressions": [{"key": APP, "operator": "In", "values": [KUBE_DNS]}]},
            "topologyKey": "kubernetes.io/hostname",
        },
    }]})
}

/// The plugin by which `CoreDNS` answers whether it is ready: from 1.5 on, and RKE 1 had 1.6 with Kubernetes 1.16.
fn ready_plugin(wanted: &Wanted<'_>) -> Option<&'static str> {
    wanted.version.at_least(1, 16).then_some("ready")
}

/// `CoreDNS` reads a changed Corefile by itself, so it replaces no pod.
fn container(wanted: &Wanted<'_>, image: &str) -> Value {
    let probe = |path: &str, port: u16| json!({"path": path, "port": port, "scheme": "HTTP"});
    let mut container = json!({
        "name": NAME,
        "image": image,
        "args": ["-conf", "/etc/coredns/Corefile"],
        "livenessProbe": {
            "httpGet": probe("/health", 8080),
            "initialDelaySeconds": 60,
            "timeoutSeconds": 5,
            "failureThreshold": 5,
        },
        "ports": [
            {"name": "dns", "containerPort": 53, "protocol": "UDP"},
            {"name": "dns-tcp", "containerPort": 53, "protocol": "TCP"},
            {"name": "metrics", "containerPort": 9153, "protocol": "TCP"},
        ],
        "resources": {"limits": {"memory": "170Mi"}, "requests": {"cpu": "100m", "memory": "70Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "capabilities": {"add": ["NET_BIND_SERVICE"], "drop": ["all"]},
            "readOnlyRootFilesystem": true,
        },
        "volumeMounts": [{"name": "config-volume", "mountPath": "/etc/coredns", "readOnly": true}],
    });
    if ready_plugin(wanted).is_some() {
        container["readinessProbe"] = json!({"httpGet": probe("/ready", 8181)});
    }
    // As in RKE 1; the field exists from 1.19 on.
    if wanted.version.at_least(1, 27) {
        container["securityContext"]["seccompProfile"] = json!({"type": "RuntimeDefault"});
    }
    container
}
