//! The keys of `network` that flannel reads.

use serde_json::{Value, json};
use windlass_spec::{NetworkSpec, nearest};

use crate::objects::option;
use crate::problem::Problems;

/// What cluster.yml asks of flannel.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) backend: Backend,
    /// The arguments that choose the interface between the nodes.
    pub(super) interfaces: Vec<String>,
    /// The largest packet of pods; none where flannel computes it.
    pub(super) mtu: Option<u32>,
    pub(super) priority_class: String,
}

/// How packets are sent from node to node.
#[derive(Debug)]
pub(super) struct Backend {
    word: String,
    port: Option<u32>,
    vni: Option<u32>,
}

/// The backends that flannel has. Source: `backend.Register` under
/// <https://github.com/flannel-io/flannel/tree/v0.28.9/pkg/backend>.
const BACKENDS: [&str; 9] =
    ["vxlan", "host-gw", "wireguard", "ipip", "ipsec", "udp", "alloc", "extension", "tencent-vpc"];

const TYPE: &str = "flannel_backend_type";
const PORT: &str = "flannel_backend_port";
const VNI: &str = "flannel_backend_vni";

impl Settings {
    pub(super) fn read(network: &NetworkSpec, problems: &mut Problems) -> Self {
        // RKE 1 uses the section of the provider where the option is absent.
        let interface = option(&network.options, "flannel_iface").or(network.flannel_iface.as_deref());
        Self {
            backend: Backend::read(network, problems),
            interfaces: interface.map(interface_arguments).unwrap_or_default(),
            mtu: network.mtu,
            priority_class: option(&network.options, "kube_flannel_priority_class_name")
                .unwrap_or("system-node-critical")
                .to_owned(),
        }
    }
}

impl Backend {
    fn read(network: &NetworkSpec, problems: &mut Problems) -> Self {
        let word = option(&network.options, TYPE).unwrap_or("vxlan").to_owned();
        if !BACKENDS.contains(&word.as_str()) {
            problems.error(
                &place(TYPE),
                format!("flannel has no backend `{word}`"),
                Some(match nearest(&word, BACKENDS) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "the usual ones are vxlan and host-gw".to_owned(),
                }),
            );
        } else if !matches!(word.as_str(), "vxlan" | "host-gw") {
            problems.warning(
                &place(TYPE),
                format!("flannel's backend `{word}` is not tried with windlass, and its own settings have no keys here"),
                Some("take vxlan, or host-gw where all nodes are in one network".to_owned()),
            );
        }
        let port = number(network, PORT, 65_535, problems);
        let vni = number(network, VNI, (1 << 24) - 1, problems);
        for (key, given, with) in [(PORT, port, &["vxlan", "udp", "wireguard"][..]), (VNI, vni, &["vxlan"])] {
            if given.is_some() && BACKENDS.contains(&word.as_str()) && !with.contains(&word.as_str()) {
                problems.warning(
                    &place(key),
                    format!("`{key}` has no effect: the backend is {word}"),
                    Some("remove it".to_owned()),
                );
            }
        }
        Self { word, port, vni }
    }

    /// Source: <https://github.com/flannel-io/flannel/blob/v0.28.9/Documentation/backends.md>.
    pub(super) fn conf(&self) -> Value {
        let Self { word, port, vni } = self;
        match (word.as_str(), port) {
            ("vxlan", port) => {
                json!({"Type": word, "VNI": vni.unwrap_or(1), "Port": port.unwrap_or(8472)})
            }
            ("udp", Some(port)) => json!({"Type": word, "Port": port}),
            ("wireguard", Some(port)) => json!({"Type": word, "ListenPort": port}),
            _ => json!({"Type": word}),
        }
    }
}

/// A number that counts as unset where it is zero, as in RKE 1.
fn number(network: &NetworkSpec, key: &str, last: u32, problems: &mut Problems) -> Option<u32> {
    let text = option(&network.options, key)?;
    let number = text.trim().parse::<u32>().ok().filter(|number| *number <= last);
    if number.is_none() {
        let what = if key == PORT { "port" } else { "network identifier of VXLAN" };
        problems.error(
            &place(key),
            format!("`{text}` is no {what}"),
            Some(format!("write a number from 1 to {last}")),
        );
    }
    number.filter(|number| *number > 0)
}

fn place(option: &str) -> String {
    format!("network.options.{option}")
}

/// Names and addresses as they are, of which the first that a node has is used; anything else is a regular
/// expression.
///
/// Source: `--iface` and `--iface-regex` in <https://github.com/flannel-io/flannel/blob/v0.28.9/Documentation/configuration.md>.
fn interface_arguments(text: &str) -> Vec<String> {
    let is_of_name = |letter: char| letter.is_ascii_alphanumeric() || "._-:@".contains(letter);
    let names: Vec<&str> = text.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    if names.iter().all(|name| name.chars().all(is_of_name)) {
        names.iter().map(|name| format!("--iface={name}")).collect()
    } else {
        vec![format!("--iface-regex={text}")]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_is_a_name_or_else_a_pattern() {
        for (text, arguments) in [
            ("eth1", &["--iface=eth1"][..]),
            ("bond0.100", &["--iface=bond0.100"]),
            ("192.0.2.1", &["--iface=192.0.2.1"]),
            ("eth1, eth0", &["--iface=eth1", "--iface=eth0"]),
            ("^en.*", &["--iface-regex=^en.*"]),
            (r"10\.0\.(1|2)\.\d{1,3}", &[r"--iface-regex=10\.0\.(1|2)\.\d{1,3}"]),
        ] {
            assert_eq!(interface_arguments(text), arguments, "{text}");
        }
    }
}
