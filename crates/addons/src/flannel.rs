//! flannel: the pod network, as RKE 1 named its objects.

mod pods;
mod settings;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use windlass_model::{AddonKind, DesiredAddon, DesiredObject};
use windlass_spec::{Cidr, ClusterSpec, NetworkPlugin};

use self::pods::daemon_set;
use self::settings::{Backend, Settings};
use crate::objects::{APP, config_map, roles, service_account};
use crate::problem::Problems;
use crate::{Wanted, strategy};

/// The keys of its images.
pub(crate) const IMAGES: [&str; 2] = ["flannel", "flannel_cni"];

const ACCOUNT: &str = "flannel";
const CONFIG: &str = "kube-flannel-cfg";
const CNI_KEY: &str = "cni-conf.json";
const NET_KEY: &str = "net-conf.json";
/// The file name of its configuration among those of the container runtime.
const CNI_FILE: &str = "10-flannel.conflist";

pub(crate) fn is_desired(spec: &ClusterSpec) -> bool {
    spec.network.plugin == Some(NetworkPlugin::Flannel)
}

/// Reports settings that flannel cannot use.
pub(crate) fn check(spec: &ClusterSpec, problems: &mut Problems) {
    Settings::read(&spec.network, problems);
    strategy::check(spec.network.update_strategy.as_ref(), "0", "network.update_strategy", problems);
}

pub(crate) fn addon(wanted: &Wanted<'_>) -> Option<DesiredAddon> {
    if !is_desired(wanted.spec) {
        return None;
    }
    let [flannel, cni] = IMAGES.map(|key| wanted.images.get(key));
    let (flannel, cni) = (flannel?, cni?);
    let settings = Settings::read(&wanted.spec.network, &mut Problems::default());
    let config = config(wanted, &settings);
    let daemon_set = daemon_set(wanted, &settings, flannel, cni, &config);
    let mut bodies = vec![service_account(ACCOUNT)];
    if wanted.has_roles() {
        bodies.extend(roles("flannel", ACCOUNT, &rules()));
    }
    bodies.extend([config, daemon_set]);
    for body in &mut bodies {
        body["metadata"]["labels"][APP] = json!("flannel");
    }
    Some(DesiredAddon {
        name: "flannel".to_owned(),
        objects: bodies.into_iter().map(|body| DesiredObject::new(AddonKind::Network, body)).collect(),
        origin: Some("network.plugin".into()),
    })
}

/// What flannel reads from the API: the node of its own pod, and the ranges and addresses of all nodes.
fn rules() -> Value {
    json!([
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": [""], "resources": ["nodes/status"], "verbs": ["patch"]},
    ])
}

fn config(wanted: &Wanted<'_>, settings: &Settings) -> Value {
    let mut body = config_map(
        CONFIG,
        &BTreeMap::from([
            (CNI_KEY, pretty(&cni_conf(settings))),
            (NET_KEY, pretty(&net_conf(wanted.pod_ranges, &settings.backend))),
        ]),
    );
    body["metadata"]["labels"] = json!({"app": "flannel", "tier": "node"});
    body
}

/// The chain of plugins: flannel's, which delegates to `bridge`, and `portmap` for `hostPort`.
fn cni_conf(settings: &Settings) -> Value {
    let mut delegate = json!({"forceAddress": true, "hairpinMode": true, "isDefaultGateway": true});
    // flannel's own value is used only where this is absent.
    if let Some(mtu) = settings.mtu {
        delegate["mtu"] = json!(mtu);
    }
    json!({
        "name": "cbr0",
        "cniVersion": "0.3.1",
        "plugins": [
            {"type": "flannel", "delegate": delegate},
            {"type": "portmap", "capabilities": {"portMappings": true}},
        ],
    })
}

/// Source: <https://github.com/flannel-io/flannel/blob/v0.28.9/Documentation/configuration.md>.
fn net_conf(ranges: &[Cidr], backend: &Backend) -> Value {
    let range = |is_wanted: fn(&Cidr) -> bool| ranges.iter().find(|range| is_wanted(range));
    let mut conf = json!({"Backend": backend.conf(), "EnableNFTables": false});
    match range(|range| range.address.is_ipv4()) {
        Some(range) => conf["Network"] = json!(range.to_string()),
        None => conf["EnableIPv4"] = json!(false),
    }
    if let Some(range) = range(|range| range.address.is_ipv6()) {
        conf["EnableIPv6"] = json!(true);
        conf["IPv6Network"] = json!(range.to_string());
    }
    conf
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}
