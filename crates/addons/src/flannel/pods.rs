//! flannel's pods: one on each node, with RKE 1's images or those that flannel publishes.

use serde_json::{Value, json};
use windlass_model::{Digest, KubernetesVersion, tag_of};

use super::settings::Settings;
use super::{ACCOUNT, CNI_FILE, CNI_KEY, CONFIG};
use crate::objects::{APP, NAMESPACE, on_nodes_with, os_label, tolerate_all};
use crate::{Wanted, strategy};

/// The annotation of its pods that a changed configuration changes, so that they are replaced.
const RELOAD: &str = "windlass.io/reload";

/// What installs the plugin and its configuration on the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Installer {
    /// A script that also installs `bridge`, `host-local`, `loopback` and `portmap`, and keeps running beside
    /// flannel.
    OfRke,
    /// Two containers before flannel: one copies its plugin, one its configuration.
    OfFlannel,
}

impl Installer {
    /// By the name of the image; an image that is neither's counts as the default of the version.
    fn of(image: &str, version: &KubernetesVersion) -> Self {
        let name = image.rsplit('/').next().unwrap_or_default();
        let name = name.split([':', '@']).next().unwrap_or_default();
        match name {
            "flannel-cni-plugin" => Self::OfFlannel,
            "flannel-cni" | "coreos-flannel-cni" => Self::OfRke,
            _ if version.at_least(1, 33) => Self::OfFlannel,
            _ => Self::OfRke,
        }
    }
}

/// The features that flannel's own image has from a release on. An image without a number counts as an old
/// one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Release(u32, u32, u32);

impl Release {
    /// Has a program that writes the configuration at once: <https://github.com/flannel-io/flannel/pull/2466>.
    const INSTALLS: Self = Self(0, 28, 6);
    /// Has a readiness endpoint: <https://github.com/flannel-io/flannel/pull/2523>.
    const ANSWERS: Self = Self(0, 28, 9);

    fn of(image: &str) -> Self {
        let tag = tag_of(image).unwrap_or_default().trim_start_matches('v');
        let numbers = tag.split('-').next().unwrap_or_default().split('.').map(str::parse);
        match numbers.collect::<Result<Vec<u32>, _>>().as_deref() {
            Ok([major, minor, patch]) => Self(*major, *minor, *patch),
            _ => Self(0, 0, 0),
        }
    }
}

pub(super) fn daemon_set(
    wanted: &Wanted<'_>,
    settings: &Settings,
    flannel: &str,
    cni: &str,
    config: &Value,
) -> Value {
    let network = &wanted.spec.network;
    let installer = Installer::of(cni, wanted.version);
    let mut pod = json!({
        "affinity": {"nodeAffinity": on_nodes_with(os_label(wanted.version), &["linux"])},
        "hostNetwork": true,
        "priorityClassName": settings.priority_class,
        "serviceAccountName": ACCOUNT,
        "tolerations": tolerate_all(),
        "volumes": volumes(),
    });
    let flanneld = flanneld(installer, flannel, settings);
    match installer {
        Installer::OfRke => pod["containers"] = json!([script(cni), flanneld]),
        Installer::OfFlannel => {
            pod["initContainers"] = json!(installers(flannel, cni));
            pod["containers"] = json!([flanneld]);
        }
    }
    if !network.node_selector.is_empty() {
        pod["nodeSelector"] = json!(network.node_selector);
    }
    let reload = Digest::of(config["data"].to_string()).short();
    json!({
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {
            "name": "kube-flannel",
            "namespace": NAMESPACE,
            "labels": {"app": "flannel", "tier": "node"},
        },
        "spec": {
            "selector": {"matchLabels": {APP: "flannel"}},
            "updateStrategy": strategy::of_daemon_set(network.update_strategy.as_ref()),
            "template": {
                "metadata": {
                    "labels": {APP: "flannel", "tier": "node"},
                    "annotations": {RELOAD: reload},
                },
                "spec": pod,
            },
        },
    })
}

fn flanneld(installer: Installer, image: &str, settings: &Settings) -> Value {
    let mut arguments = vec!["--ip-masq".to_owned(), "--kube-subnet-mgr".to_owned()];
    arguments.extend(settings.interfaces.iter().cloned());
    let field = |path: &str| json!({"fieldRef": {"fieldPath": path}});
    let mut container = json!({
        "name": "kube-flannel",
        "image": image,
        "command": ["/opt/bin/flanneld"],
        "env": [
            {"name": "POD_NAME", "valueFrom": field("metadata.name")},
            {"name": "POD_NAMESPACE", "valueFrom": field("metadata.namespace")},
            {"name": "EVENT_QUEUE_DEPTH", "value": "5000"},
        ],
        "resources": {"requests": {"cpu": "100m", "memory": "50Mi"}},
        "securityContext": {"privileged": false, "capabilities": {"add": ["NET_ADMIN", "NET_RAW"]}},
        "volumeMounts": [
            {"name": "run", "mountPath": "/run/flannel"},
            {"name": "flannel-cfg", "mountPath": "/etc/kube-flannel/"},
            {"name": "xtables-lock", "mountPath": "/run/xtables.lock"},
        ],
    });
    if installer == Installer::OfRke {
        // The type that Rancher's SELinux policy allows to use the network; without SELinux it has no effect.
        container["securityContext"]["seLinuxOptions"] = json!({"type": "rke_network_t"});
    }
    if Release::of(image) >= Release::ANSWERS {
        // Only on the loopback interface, since the pod has the node's network.
        arguments.extend(["--healthz-ip=127.0.0.1".to_owned(), "--healthz-port=8081".to_owned()]);
        let probe = |path: &str| json!({"host": "127.0.0.1", "path": path, "port": 8081});
        container["livenessProbe"] =
            json!({"httpGet": probe("/healthz"), "initialDelaySeconds": 10, "periodSeconds": 30});
        container["readinessProbe"] = json!({"httpGet": probe("/readyz"), "periodSeconds": 5});
    }
    container["args"] = json!(arguments);
    container
}

/// RKE 1's script: it copies all plugins and writes the configuration that it finds in its environment.
fn script(image: &str) -> Value {
    json!({
        "name": "install-cni",
        "image": image,
        "command": ["/install-cni.sh"],
        "env": [
            {
                "name": "CNI_NETWORK_CONFIG",
                "valueFrom": {"configMapKeyRef": {"name": CONFIG, "key": CNI_KEY}},
            },
            {"name": "CNI_CONF_NAME", "value": CNI_FILE},
        ],
        "volumeMounts": [
            {"name": "cni", "mountPath": "/host/etc/cni/net.d"},
            {"name": "host-cni-bin", "mountPath": "/host/opt/cni/bin/"},
        ],
    })
}

/// Source: <https://github.com/flannel-io/flannel/blob/v0.28.9/Documentation/kube-flannel.yml>.
fn installers(flannel: &str, cni: &str) -> [Value; 2] {
    let (from, to) = (format!("/etc/kube-flannel/{CNI_KEY}"), format!("/etc/cni/net.d/{CNI_FILE}"));
    let (program, arguments) = if Release::of(flannel) >= Release::INSTALLS {
        ("/opt/bin/install-conf", json!([from, to]))
    } else {
        ("cp", json!(["-f", from, to]))
    };
    let plugin = json!({
        "name": "install-cni-plugin",
        "image": cni,
        "command": ["cp"],
        "args": ["-f", "/flannel", "/opt/cni/bin/flannel"],
        "volumeMounts": [{"name": "host-cni-bin", "mountPath": "/opt/cni/bin"}],
    });
    let configuration = json!({
        "name": "install-cni",
        "image": flannel,
        "command": [program],
        "args": arguments,
        "volumeMounts": [
            {"name": "cni", "mountPath": "/etc/cni/net.d"},
            {"name": "flannel-cfg", "mountPath": "/etc/kube-flannel/"},
        ],
    });
    [plugin, configuration]
}

fn volumes() -> Value {
    let directory = |name: &str, path: &str| json!({"name": name, "hostPath": {"path": path, "type": "DirectoryOrCreate"}});
    json!([
        directory("run", "/run/flannel"),
        directory("host-cni-bin", "/opt/cni/bin"),
        directory("cni", "/etc/cni/net.d"),
        {"name": "flannel-cfg", "configMap": {"name": CONFIG}},
        {"name": "xtables-lock", "hostPath": {"path": "/run/xtables.lock", "type": "FileOrCreate"}},
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_image_decides_who_installs_and_else_the_version() {
        let of = |image: &str, minor: u32| Installer::of(image, &KubernetesVersion::new(1, minor, 0));
        assert_eq!(of("rancher/flannel-cni:v1.4.1-rancher1", 37), Installer::OfRke);
        assert_eq!(of("mirror:5000/rancher/coreos-flannel-cni:v0.2.0", 9), Installer::OfRke);
        assert_eq!(of("docker.io/flannel/flannel-cni-plugin:v1.9.1-flannel3", 20), Installer::OfFlannel);
        assert_eq!(of("own/cni@sha256:00", 32), Installer::OfRke);
        assert_eq!(of("own/cni", 33), Installer::OfFlannel);
    }

    #[test]
    fn releases_are_read_off_tags() {
        for (image, release) in [
            ("rancher/mirrored-flannel-flannel:v0.28.1", Release(0, 28, 1)),
            ("rancher/coreos-flannel:v0.13.0-rancher1", Release(0, 13, 0)),
            ("mirror:5000/flannel:0.28.10", Release(0, 28, 10)),
            ("mirror:5000/flannel", Release(0, 0, 0)),
            ("flannel/flannel:latest", Release(0, 0, 0)),
        ] {
            assert_eq!(Release::of(image), release, "{image}");
        }
        assert!(Release::of("a:v0.28.10") > Release::ANSWERS && Release::of("a:v0.28.1") < Release::INSTALLS);
    }
}
