//! Traefik's pods: one on each chosen worker, with ports of the node.

use serde_json::{Value, json};
use windlass_spec::IngressSpec;

use super::flags::{certificate, flags};
use super::{APP, CONFIG, CONFIG_DIRECTORY, NAME, NAMESPACE};
use crate::objects::{WORKER, on_nodes_with, os_label, tolerate_all};
use crate::{Wanted, strategy};

/// Where Traefik answers whether it is well: where ingress-nginx does, as firewalls between nodes may know.
const HEALTH: u16 = 10_254;
/// The ports inside of pods that do not have the node's network.
const INSIDE: (u16, u16) = (8_000, 8_443);

/// How its ports are reached from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// The node hands its ports on to those of the pod.
    HostPort,
    /// The pod has the node's network.
    HostNetwork,
    /// Not: whoever wants to reach it makes a Service.
    Inside,
}

impl Mode {
    fn of(ingress: &IngressSpec) -> Self {
        match ingress.network_mode.as_deref() {
            Some("hostNetwork") => Self::HostNetwork,
            Some("none") => Self::Inside,
            _ => Self::HostPort,
        }
    }
}

pub(super) fn daemon_set(wanted: &Wanted<'_>, image: &str) -> Value {
    let ingress = &wanted.spec.ingress;
    let mode = Mode::of(ingress);
    let mut selector = ingress.node_selector.clone();
    selector.insert(os_label(wanted.version).to_owned(), "linux".to_owned());
    let mut volumes = ingress.extra_volumes.clone();
    if let Some(secret) = certificate(ingress) {
        // The Secret may come later: until then Traefik serves a certificate that it signs itself.
        volumes.push(json!({"name": "windlass-config", "projected": {"sources": [
            {"configMap": {"name": CONFIG}},
            {"secret": {"name": secret, "optional": true, "items": [
                {"key": "tls.crt", "path": "tls.crt"},
                {"key": "tls.key", "path": "tls.key"},
            ]}},
        ]}}));
    }
    let mut pod = json!({
        "affinity": {"nodeAffinity": on_nodes_with(WORKER, &[])},
        "containers": [container(ingress, mode, image)],
        "nodeSelector": selector,
        "serviceAccountName": NAME,
        "terminationGracePeriodSeconds": 60,
        "tolerations": tolerate_all(),
    });
    if !volumes.is_empty() {
        pod["volumes"] = json!(volumes);
    }
    if mode == Mode::HostNetwork {
        pod["hostNetwork"] = json!(true);
    }
    if let Some(policy) = &ingress.dns_policy {
        pod["dnsPolicy"] = json!(policy);
    } else if mode == Mode::HostNetwork {
        // Else it could resolve no name of the cluster.
        pod["dnsPolicy"] = json!("ClusterFirstWithHostNet");
    }
    if let Some(class) = &ingress.controller_priority_class_name {
        pod["priorityClassName"] = json!(class);
    }
    json!({
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": NAME, "namespace": NAMESPACE},
        "spec": {
            "selector": {"matchLabels": {APP: NAME}},
            "updateStrategy": strategy::of_daemon_set(ingress.update_strategy.as_ref()),
            "template": {"metadata": {"labels": {APP: NAME}}, "spec": pod},
        },
    })
}

fn container(ingress: &IngressSpec, mode: Mode, image: &str) -> Value {
    let outside = (ingress.http_port.unwrap_or(80), ingress.https_port.unwrap_or(443));
    let ports = if mode == Mode::HostNetwork { outside } else { INSIDE };
    let port = |name: &str, inside: u16, outside: u16| {
        let mut port = json!({"name": name, "containerPort": inside, "protocol": "TCP"});
        if mode != Mode::Inside {
            port["hostPort"] = json!(outside);
        }
        port
    };
    let mut mounts = ingress.extra_volume_mounts.clone();
    if certificate(ingress).is_some() {
        mounts.push(json!({"name": "windlass-config", "mountPath": CONFIG_DIRECTORY, "readOnly": true}));
    }
    let probe = |failures: u32, period: u32| {
        json!({
            "httpGet": {"path": "/ping", "port": HEALTH, "scheme": "HTTP"},
            "failureThreshold": failures,
            "periodSeconds": period,
        })
    };
    let mut container = json!({
        "name": NAME,
        "image": image,
        "args": flags(ingress, ports, HEALTH),
        "ports": [port("http", ports.0, outside.0), port("https", ports.1, outside.1)],
        "livenessProbe": probe(5, 10),
        "readinessProbe": probe(3, 2),
        "securityContext": security(mode),
    });
    if !ingress.extra_envs.is_empty() {
        container["env"] = json!(ingress.extra_envs);
    }
    if !mounts.is_empty() {
        container["volumeMounts"] = json!(mounts);
    }
    container
}

/// Only a pod with the node's network opens ports below 1024 itself.
fn security(mode: Mode) -> Value {
    let mut security = json!({
        "allowPrivilegeEscalation": false,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": true,
        "seccompProfile": {"type": "RuntimeDefault"},
    });
    if mode == Mode::HostNetwork {
        security["capabilities"]["add"] = json!(["NET_BIND_SERVICE"]);
        security["runAsUser"] = json!(0);
    } else {
        security["runAsNonRoot"] = json!(true);
        security["runAsUser"] = json!(65_532);
    }
    security
}
