//! Checks of cluster.yml, each proved necessary: the file is refused; and if the desired state is changed
//! behind the check's back, the simulated Docker or Kubernetes refuses it too, so that `up` does not
//! converge.

use std::collections::BTreeSet;
use std::sync::Arc;

use windlass_blueprint::Catalog;
use windlass_course::Goal;
use windlass_integration::drive::{Driver, Ended, Guardrails, desired};
use windlass_model::{Blueprint, CertPart, Cipher, Component, ContainerSpec, Content, Taint};
use windlass_planner::Rules;
use windlass_simulator::{FaultSchedule, SimFleet, World};

const FILE: &str = "
kubernetes_version: v1.20.2
system_images: {kubernetes: lab/hyperkube:v1.20.2, etcd: lab/etcd:v3.4.23, nginx_proxy: lab/nginx:1.22, pod_infra_container: lab/pause:3.2}
network: {plugin: none}
dns: {provider: none}
ingress: {provider: none}
monitoring: {provider: none}
services: {kubelet: {}, kubeproxy: {}}
nodes:
- {address: 10.0.0.1, hostname_override: node-1, user: ops, role: [controlplane, etcd]}
- {address: 10.0.0.2, hostname_override: node-2, user: ops, role: [worker]}
";

/// The file is refused; `alter` makes the same change, and the simulated world refuses it with these words.
fn assert_needed(part: &str, bad: &str, alter: impl Fn(&mut Blueprint) + Send + Sync + 'static, words: &str) {
    assert!(FILE.contains(part), "{part}");
    let refused = desired(&FILE.replacen(part, bad, 1), Catalog::builtin());
    assert!(refused.is_err(), "{bad} is taken");
    let asked = desired(FILE, Catalog::builtin()).expect("nothing is wrong with the file").altered(alter);
    let mut driver = Driver::new(SimFleet::new(World::bare(2)));
    driver.guardrails = Guardrails { audited: false, ..Guardrails::default() };
    let ended = driver.run(&asked, &Goal::Converge, FaultSchedule::default());
    assert!(!ended.is_converged(), "{bad} works");
    let Ended::Concluded(conclusion) = ended else { panic!("nobody dies here") };
    let reported = format!("{:?}", conclusion.reports);
    assert!(reported.contains(words), "{words} is not in {reported}");
}

/// Alters a container of the worker.
fn container(blueprint: &mut Blueprint, component: Component, alter: impl FnOnce(&mut ContainerSpec)) {
    let node = blueprint.nodes.get_mut("node-2").expect("it is in the file");
    let asked = node.containers.get_mut(&component).expect("workers have it");
    alter(Arc::make_mut(&mut asked.spec));
}

#[test]
fn docker_takes_one_mount_of_a_place() {
    let add = |blueprint: &mut Blueprint| {
        container(blueprint, Component::KubeProxy, |spec| {
            spec.binds.push("/lib/modules:/lib/modules".into());
        });
    };
    let bad = "kubeproxy: {extra_binds: [\"/lib/modules:/lib/modules\"]}";
    assert_needed("kubeproxy: {}", bad, add, "Duplicate mount point: /lib/modules");
    let bad = "kubeproxy: {extra_binds: [\"/a:/data\", \"/b:/data\"]}";
    let two = |blueprint: &mut Blueprint| {
        container(blueprint, Component::KubeProxy, |spec| {
            spec.binds.extend(["/a:/data".into(), "/b:/data/".into()]);
        });
    };
    assert_needed("kubeproxy: {}", bad, two, "Duplicate mount point: /data/");
}

#[test]
fn docker_takes_no_mount_at_a_relative_path() {
    let add = |blueprint: &mut Blueprint| {
        container(blueprint, Component::KubeProxy, |spec| spec.binds.push("/data:data".into()));
    };
    assert_needed(
        "kubeproxy: {}",
        "kubeproxy: {extra_binds: [\"/data:data\"]}",
        add,
        "must be absolute: data",
    );
}

#[test]
fn docker_takes_no_variable_without_a_name() {
    let add = |blueprint: &mut Blueprint| {
        container(blueprint, Component::Kubelet, |spec| drop(spec.env.insert("".into(), "x".into())));
    };
    let bad = "kubelet: {extra_env: [\"=x\"]}";
    assert_needed("kubelet: {}", bad, add, "invalid environment variable: =");
}

#[test]
fn docker_pulls_no_image_whose_name_is_a_url_or_has_capitals() {
    let url = |blueprint: &mut Blueprint| {
        container(blueprint, Component::NginxProxy, |spec| spec.image = "https://lab/nginx:1.22".into());
    };
    assert_needed("lab/nginx:1.22", "\"https://lab/nginx:1.22\"", url, "invalid reference format");
    let capitals = |blueprint: &mut Blueprint| {
        container(blueprint, Component::NginxProxy, |spec| spec.image = "Lab/nginx:1.22".into());
    };
    assert_needed("lab/nginx:1.22", "Lab/nginx:1.22", capitals, "invalid reference format");
}

#[test]
fn kubernetes_takes_no_node_whose_name_is_longer_than_a_label() {
    let long = format!("{0}.{0}", "a".repeat(40));
    let bad = format!("hostname_override: {long}");
    let alter = |blueprint: &mut Blueprint| {
        container(blueprint, Component::Kubelet, |spec| {
            let name = format!("--hostname-override={0}.{0}", "a".repeat(40));
            spec.command.retain(|argument| !argument.starts_with("--hostname-override="));
            spec.command.push(name.as_str().into());
        });
    };
    assert_needed("hostname_override: node-2", &bad, alter, "node-2");
}

#[test]
fn kubernetes_takes_no_two_taints_of_one_key_and_effect() {
    let bad = "role: [worker], taints: [{key: a, value: b, effect: NoSchedule}, {key: a, value: c, effect: NoSchedule}]";
    let alter = |blueprint: &mut Blueprint| {
        let node = blueprint.nodes.get_mut("node-2").expect("it is in the file");
        node.taints = ["b", "c"]
            .map(|value| Taint { key: "a".into(), value: value.into(), effect: "NoSchedule".into() })
            .into_iter()
            .collect::<BTreeSet<_>>();
    };
    assert_needed("role: [worker]", bad, alter, "must be unique by key and effect");
}

#[test]
fn kubernetes_takes_no_label_of_more_than_63_characters() {
    let bad = format!("role: [worker], labels: {{a: {}}}", "b".repeat(64));
    let alter = |blueprint: &mut Blueprint| {
        let node = blueprint.nodes.get_mut("node-2").expect("it is in the file");
        node.labels.insert("a".into(), "b".repeat(64).as_str().into());
    };
    assert_needed("role: [worker]", &bad, alter, "must be no more than 63 characters");
}

/// Values of flags, at least one of each kind: the service in cluster.yml, its component, the flag, a value that is refused, and
/// the words with which the component ends.
#[rustfmt::skip]
const REFUSED_VALUES: [(&str, Component, &str, &str, &str); 27] = [
    ("kubelet", Component::Kubelet, "max-pods", "1O0", "ParseInt"),
    ("kubelet", Component::Kubelet, "max-pods", "-1", "must be from"),
    ("kubelet", Component::Kubelet, "read-only-port", "70000", "must be from"),
    ("kubelet", Component::Kubelet, "serialize-image-pulls", "yes", "ParseBool"),
    ("kubelet", Component::Kubelet, "streaming-connection-idle-timeout", "30d", "invalid duration"),
    ("kubelet", Component::Kubelet, "container-log-max-size", "8GB", "quantities must match"),
    ("kubelet", Component::Kubelet, "kube-reserved", "cpus=1", "unknown or malformed"),
    ("kubelet", Component::Kubelet, "eviction-hard", "memory.free<100Mi", "unknown or malformed"),
    ("kubelet", Component::Kubelet, "node-labels", "kubernetes.io/role=a", "unknown 'kubernetes.io'"),
    ("kubelet", Component::Kubelet, "register-with-taints", "a=b:Never", "invalid taint spec"),
    ("kubelet", Component::Kubelet, "cpu-manager-policy", "Static", "must be one of"),
    ("kubelet", Component::Kubelet, "cpu-manager-policy", "static", "the static policy requires"),
    ("kubelet", Component::Kubelet, "feature-gates", "CSIMigration", "bool value"),
    ("kubelet", Component::Kubelet, "address", "10.0.0.300", "failed to parse IP"),
    ("kubelet", Component::Kubelet, "tls-min-version", "TLS1.2", "must be one of"),
    ("kubeproxy", Component::KubeProxy, "proxy-mode", "IPVS", "must be one of"),
    ("kubeproxy", Component::KubeProxy, "iptables-min-sync-period", "-1s", "must not be negative"),
    ("kubeproxy", Component::KubeProxy, "conntrack-tcp-timeout-established", "-5m", "must not be negative"),
    ("kube-api", Component::KubeApiserver, "request-timeout", "-1m", "must not be negative"),
    ("kube-api", Component::KubeApiserver, "shutdown-delay-duration", "-30s", "must not be negative"),
    ("kube-api", Component::KubeApiserver, "authorization-mode", "Node,RBCA", "not a valid mode"),
    ("kube-api", Component::KubeApiserver, "secure-port", "0", "must be from"),
    ("kube-controller", Component::KubeControllerManager, "node-cidr-mask-size", "130", "must be from"),
    ("kube-controller", Component::KubeControllerManager, "leader-elect-lease-duration", "5s", "leaseDuration"),
    ("scheduler", Component::KubeScheduler, "leader-elect-renew-deadline", "20s", "leaseDuration"),
    ("etcd", Component::Etcd, "heartbeat-interval", "1500", "at least as 5 times"),
    ("etcd", Component::Etcd, "log-level", "verbose", "must be one of"),
];

#[test]
fn no_component_starts_with_a_value_that_it_refuses() {
    for (service, component, flag, value, words) in REFUSED_VALUES {
        let bad = format!("services: {{{service}: {{extra_args: {{{flag}: \"{value}\"}}}}}}");
        let alter = move |blueprint: &mut Blueprint| {
            let asked = |node: &mut windlass_model::DesiredNode| node.containers.remove(&component);
            for node in blueprint.nodes.values_mut() {
                let Some(mut container) = asked(node) else { continue };
                let spec = Arc::make_mut(&mut container.spec);
                spec.command.retain(|argument| !argument.starts_with(&format!("--{flag}=")));
                spec.command.push(format!("--{flag}={value}").into());
                node.containers.insert(component, container);
            }
        };
        assert_needed("services: {kubelet: {}, kubeproxy: {}}", &bad, alter, words);
    }
}

/// `up` by the first file, then by the second with nothing refused: the errors of the world.
fn complaints_unrefused(first: &str, second: &str) -> Vec<String> {
    let asked = |text: &str| desired(text, Catalog::builtin()).expect("nothing is wrong with the file");
    let mut driver = Driver::new(SimFleet::new(World::bare(2)));
    driver.guardrails.audited = false;
    assert!(driver.run(&asked(first), &Goal::Converge, FaultSchedule::default()).is_converged());
    assert_eq!(driver.complaints(), Vec::<String>::new());
    let refused = driver.run(&asked(second), &Goal::Converge, FaultSchedule::default());
    assert!(!refused.is_converged(), "it is not refused");
    assert_eq!(driver.complaints(), Vec::<String>::new());
    driver.guardrails.rules = Rules { refuse: false, ..Rules::ALL };
    let ended = driver.run(&asked(second), &Goal::Converge, FaultSchedule::default());
    let mut complaints = driver.complaints();
    if !ended.is_converged() {
        complaints.push(format!("{ended:?}"));
    }
    complaints
}

/// The file with this under `providers` of the encryption of Secrets, and an API server on both nodes.
fn encrypted_by(providers: &str) -> String {
    let config = format!("{{resources: [{{resources: [secrets], providers: {providers}}}]}}");
    let api = format!("kube-api: {{secrets_encryption_config: {{enabled: true, custom_config: {config}}}}}");
    FILE.replacen("kubeproxy: {}", &api, 1).replacen("role: [worker]", "role: [worker, controlplane]", 1)
}

const A: &str = "{name: a, secret: QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=}";
const B: &str = "{name: b, secret: QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkI=}";

#[test]
fn without_the_refusal_secrets_become_unreadable() {
    let by = |keys: &str| encrypted_by(&format!("[{{aescbc: {{keys: [{keys}]}}}}, {{identity: {{}}}}]"));
    let lost = complaints_unrefused(&by(A), &by(B));
    assert!(lost.iter().any(|complaint| complaint.contains("cannot read Secrets of aescbc a")), "{lost:?}");
    let plain = FILE.replacen("role: [worker]", "role: [worker, controlplane]", 1);
    let unread = complaints_unrefused(&plain, &encrypted_by(&format!("[{{aescbc: {{keys: [{A}]}}}}]")));
    assert!(
        unread.iter().any(|complaint| complaint.contains("cannot read Secrets of identity")),
        "{unread:?}"
    );
}

/// API servers get the keys of cluster.yml at once.
fn without_stages(blueprint: &mut Blueprint) {
    for node in blueprint.nodes.values_mut() {
        if let Some(api) = node.containers.get_mut(&Component::KubeApiserver) {
            let spec = Arc::make_mut(&mut api.spec);
            spec.ciphers = spec.ciphers.with_first(&Cipher::own());
        }
        for file in node.files.values_mut() {
            if let Content::Cert { part, .. } = &mut file.content
                && *part == CertPart::EncryptionBehind
            {
                *part = CertPart::Encryption;
            }
        }
    }
}

#[test]
fn without_stages_api_servers_cannot_read_what_the_first_new_one_writes() {
    let plain = FILE.replacen("role: [worker]", "role: [worker, controlplane]", 1);
    let on = plain.replacen("kubeproxy: {}", "kube-api: {secrets_encryption_config: {enabled: true}}", 1);
    let asked = |text: &str| desired(text, Catalog::builtin()).expect("nothing is wrong with the file");
    for (is_staged, complains) in [(true, false), (false, true)] {
        let mut driver = Driver::new(SimFleet::new(World::bare(2)));
        driver.guardrails.audited = is_staged;
        assert!(driver.run(&asked(&plain), &Goal::Converge, FaultSchedule::default()).is_converged());
        driver.guardrails.rules = Rules { refuse: is_staged, ..Rules::ALL };
        let on = if is_staged { asked(&on) } else { asked(&on).altered(without_stages) };
        driver.run(&on, &Goal::Converge, FaultSchedule::default());
        let complaints = driver.complaints();
        let unread = |complaint: &String| complaint.contains("cannot read Secrets of aescbc key-1");
        assert_eq!(complaints.iter().any(unread), complains, "{complaints:?}");
        assert_eq!(complaints.is_empty(), !complains, "{complaints:?}");
    }
}

#[test]
fn without_the_refusal_an_older_etcd_does_not_start() {
    let etcd = |tag: &str| FILE.replacen("lab/etcd:v3.4.23", &format!("lab/etcd:{tag}"), 1);
    let complaints = complaints_unrefused(&etcd("v3.5.9"), &etcd("v3.4.23"));
    assert!(!complaints.is_empty());
}
