//! What each key of cluster.yml changes, as the lines in which two blueprints differ.

mod world;

use std::collections::BTreeMap;
use std::time::Duration;

use windlass_blueprint::{Catalog, Problem, render, resolve};
use windlass_model::{
    Blueprint, CertKind, CertName, Component, Content, FilePath, HostFacts, NodeName, Part, Role, San,
    SpecPath,
};
use windlass_spec::{
    AuditLogSpec, AuthorizationMode, BackupSpec, ClusterSpec, EndpointSpec, RegistrySpec, TaintEffect,
    TaintSpec, WebhookSpec,
};
use world::{ALL, blueprint, cluster, resolved, with_images, with_node};

fn one() -> ClusterSpec {
    with_node(cluster("v1.20.2"), 1, &ALL)
}

/// The lines that the rendering gains (`+`) and loses (`-`), in the order of the rendering.
fn difference(before: &Blueprint, after: &Blueprint) -> Vec<String> {
    let (before, after) = (render(before), render(after));
    let lines = |text: &str| -> Vec<String> {
        text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect()
    };
    let (mut lost, mut gained) = (lines(&before), Vec::new());
    // Compared with their indentation, which tells lists apart, and shown without.
    for line in lines(&after) {
        match lost.iter().position(|other| *other == line) {
            Some(found) => drop(lost.remove(found)),
            None => gained.push(line),
        }
    }
    let shown = |sign, lines: Vec<String>| {
        lines.into_iter().map(move |line| format!("{sign} {}", line.trim())).collect::<Vec<_>>()
    };
    [shown('+', gained), shown('-', lost)].concat()
}

/// What a change of the file changes of the blueprint of one node with all roles.
fn changed(change: impl Fn(&mut ClusterSpec)) -> Vec<String> {
    let mut spec = one();
    change(&mut spec);
    difference(&blueprint(&one()), &blueprint(&spec))
}

fn command(spec: &ClusterSpec, component: Component) -> Vec<String> {
    let blueprint = blueprint(spec);
    let node = blueprint.nodes.values().next().expect("a cluster has nodes");
    node.containers[&component].spec.command.iter().map(ToString::to_string).collect()
}

fn problems(change: impl Fn(&mut ClusterSpec)) -> Vec<String> {
    let mut spec = one();
    change(&mut spec);
    let shown = |Problem { severity, path, summary, help }: &Problem| {
        format!("{severity}: {path}: {summary} ({})", help.as_deref().unwrap_or_default())
    };
    resolved(&spec).problems.iter().map(shown).collect()
}

#[test]
fn a_users_flag_takes_the_place_of_ours_or_comes_behind_in_order() {
    let mut spec = one();
    let scheduler = &mut spec.services.scheduler;
    scheduler.extra_args =
        [("v", "4"), ("zeal", "1"), ("kube-api-qps", "50")].map(|(k, v)| (k.into(), v.into())).into();
    scheduler.extra_args_array = [("feature-gates".into(), vec!["A=true".into(), "B=true".into()])].into();
    assert_eq!(
        command(&spec, Component::KubeScheduler),
        [
            "kube-scheduler",
            "--address=0.0.0.0",
            "--bind-address=127.0.0.1",
            "--kubeconfig=/etc/kubernetes/ssl/kubecfg-kube-scheduler.yaml",
            "--leader-elect=true",
            "--port=0",
            "--profiling=false",
            "--v=4",
            "--kube-api-qps=50",
            "--zeal=1",
            "--feature-gates=A=true",
            "--feature-gates=B=true",
        ]
    );
    let blueprint = blueprint(&spec);
    let origins = &blueprint.nodes["node-1"].containers[&Component::KubeScheduler].origins;
    let parts: Vec<String> = origins.parts.iter().map(|(part, path)| format!("{part} {path}")).collect();
    assert_eq!(
        parts,
        [
            "--feature-gates services.scheduler.extra_args_array.feature-gates",
            "--kube-api-qps services.scheduler.extra_args.kube-api-qps",
            "--v services.scheduler.extra_args.v",
            "--zeal services.scheduler.extra_args.zeal",
        ]
    );
}

#[test]
fn a_users_flag_takes_the_place_of_one_that_differs_by_node() {
    let changes = changed(|spec| {
        spec.services.kubelet.service.extra_args.insert("cgroup-driver".into(), "systemd".into());
    });
    assert_eq!(changes, ["+ --cgroup-driver=systemd", "- --cgroup-driver=cgroupfs"]);
}

#[test]
fn files_of_the_user_are_not_watched_and_ours_no_longer_where_they_are_not_read() {
    let changes = changed(|spec| {
        spec.services
            .kube_api
            .service
            .extra_args
            .insert("audit-policy-file".into(), "/etc/kubernetes/mine.yaml".into());
    });
    assert_eq!(
        changes,
        [
            "+ --audit-policy-file=/etc/kubernetes/mine.yaml",
            "- --audit-policy-file=/etc/kubernetes/audit-policy.yaml",
            "- /etc/kubernetes/audit-policy.yaml",
        ]
    );
}

#[test]
fn mounts_and_variables_of_the_user_come_behind_ours_as_they_are_written() {
    let mut spec = one();
    let service = &mut spec.services.kubeproxy;
    service.extra_binds = vec!["/run:/run".into(), "/data:/data:z".into()];
    service.extra_env = vec!["A=b=c".into(), "B".into()];
    let blueprint = blueprint(&spec);
    let proxy = &blueprint.nodes["node-1"].containers[&Component::KubeProxy];
    assert_eq!(
        proxy.spec.binds.iter().map(|bind| &**bind).collect::<Vec<_>>(),
        ["/etc/kubernetes:/etc/kubernetes:ro", "/run:/run", "/lib/modules:/lib/modules:ro", "/data:/data:z"]
    );
    let env: Vec<(&str, &str)> = proxy.spec.env.iter().map(|(name, value)| (&**name, &**value)).collect();
    // One without a value is taken away from those of the image.
    assert_eq!(env, [("A", "b=c")]);
    assert_eq!(
        proxy.origins.parts[&Part::Bind("/data:/data:z".into())].as_str(),
        "services.kubeproxy.extra_binds[1]"
    );
    assert_eq!(proxy.origins.parts[&Part::Env("A".into())].as_str(), "services.kubeproxy.extra_env[0]");
}

#[test]
fn origins_lead_to_the_keys_that_the_file_has_and_else_to_the_version() {
    let mut spec = one();
    spec.services.kube_api.service_cluster_ip_range = vec!["10.50.0.0/16".parse().expect("a range")];
    spec.system_images.insert("kubernetes".into(), "lab/hyperkube:v1.20.2".into());
    let blueprint = blueprint(&spec);
    let origins = |component| &blueprint.nodes["node-1"].containers[&component].origins;
    let api = origins(Component::KubeApiserver);
    assert_eq!(api.whole.as_ref().map(SpecPath::as_str), Some("kubernetes_version"));
    assert_eq!(api.image.as_ref().map(SpecPath::as_str), Some("system_images.kubernetes"));
    assert_eq!(
        api.parts.iter().map(|(part, path)| format!("{part} {path}")).collect::<Vec<_>>(),
        [
            "--advertise-address nodes",
            "--etcd-servers nodes",
            "--service-cluster-ip-range services.kube-api.service_cluster_ip_range",
        ]
    );
    let etcd = origins(Component::Etcd);
    assert_eq!(etcd.image.as_ref().map(SpecPath::as_str), Some("kubernetes_version"));
    assert_eq!(
        blueprint.origins.foundation.iter().map(|(fact, path)| format!("{fact} {path}")).collect::<Vec<_>>(),
        ["service_range services.kube-api.service_cluster_ip_range"]
    );
}

#[test]
fn another_service_range_moves_the_dns_and_the_name_of_the_api_server() {
    let changes = changed(|spec| {
        spec.services.kube_api.service_cluster_ip_range = vec!["10.50.0.0/16".parse().expect("a range")];
    });
    assert_eq!(
        changes,
        [
            "+ service_range 10.50.0.0/16",
            "+ --service-cluster-ip-range=10.50.0.0/16",
            "+ --service-cluster-ip-range=10.50.0.0/16",
            "+ --cluster-dns=10.50.0.10",
            "+ 10.50.0.1",
            "- service_range 10.43.0.0/16",
            "- --service-cluster-ip-range=10.43.0.0/16",
            "- --service-cluster-ip-range=10.43.0.0/16",
            "- --cluster-dns=10.43.0.10",
            "- 10.43.0.1",
        ]
    );
}

#[test]
fn the_foundation_is_what_the_components_really_get() {
    let changes = changed(|spec| {
        let api = &mut spec.services.kube_api.service.extra_args;
        api.insert("service-account-issuer".into(), "https://issuer".into());
        let controller = &mut spec.services.kube_controller.service.extra_args;
        controller.insert("cluster-cidr".into(), "10.60.0.0/16".into());
    });
    assert_eq!(
        changes,
        [
            "+ pod_range 10.60.0.0/16",
            "+ service_account_issuer https://issuer",
            "+ --service-account-issuer=https://issuer",
            "+ --cluster-cidr=10.60.0.0/16",
            "+ --cluster-cidr=10.60.0.0/16",
            "- pod_range 10.42.0.0/16",
            "- service_account_issuer https://kubernetes.default.svc.cluster.local",
            "- --service-account-issuer=https://kubernetes.default.svc.cluster.local",
            "- --cluster-cidr=10.42.0.0/16",
            "- --cluster-cidr=10.42.0.0/16",
        ]
    );
}

#[test]
fn serving_certificates_are_kubelets_own_and_checked_by_the_api_server() {
    assert_eq!(
        changed(|spec| spec.services.kubelet.generate_serving_certificate = Some(true)),
        [
            "+ --kubelet-certificate-authority=/etc/kubernetes/ssl/kube-ca.pem",
            "+ --tls-cert-file=/etc/kubernetes/ssl/kube-kubelet.pem",
            "+ --tls-private-key-file=/etc/kubernetes/ssl/kube-kubelet-key.pem",
            "+ /etc/kubernetes/ssl/kube-kubelet-key.pem",
            "+ /etc/kubernetes/ssl/kube-kubelet.pem",
            "+ /etc/kubernetes/ssl/kube-kubelet-key.pem 0600 0:0 key kube-kubelet@node-1",
            "+ /etc/kubernetes/ssl/kube-kubelet.pem 0600 0:0 certificate kube-kubelet@node-1",
            "+ kube-kubelet@node-1",
            "+ certificate CN=kube-kubelet by kube-ca server 3650 days of kubelet",
            "+ names",
            "+ 10.0.0.1",
            "+ 192.0.2.1",
            "+ node-1",
        ]
    );
}

#[test]
fn a_webhook_of_the_user_is_a_secret() {
    let changes = changed(|spec| {
        spec.authentication.webhook = Some(WebhookSpec {
            config_file: Some(windlass_model::Secret::new("kind: Config".to_owned())),
            cache_timeout: None,
        });
    });
    assert_eq!(
        changes,
        [
            "+ --authentication-token-webhook-config-file=/etc/kubernetes/kube-api-authn-webhook.yaml",
            "+ --authentication-token-webhook-cache-ttl=5s",
            "+ /etc/kubernetes/kube-api-authn-webhook.yaml",
            "+ /etc/kubernetes/kube-api-authn-webhook.yaml 0600 0:0 secret authn-webhook",
        ]
    );
}

#[test]
fn the_audit_log_is_on_unless_its_section_does_not_say_so() {
    let off = changed(|spec| spec.services.kube_api.audit_log = Some(AuditLogSpec::default()));
    assert_eq!(
        off,
        [
            "- --audit-log-path=/var/log/kube-audit/audit-log.json",
            "- --audit-log-maxage=30",
            "- --audit-log-maxbackup=10",
            "- --audit-log-maxsize=100",
            "- --audit-log-format=json",
            "- --audit-policy-file=/etc/kubernetes/audit-policy.yaml",
            "- /etc/kubernetes/audit-policy.yaml",
            "- /etc/kubernetes/audit-policy.yaml 0600 0:0 text 4c24658b",
            "- text 4c24658b /etc/kubernetes/audit-policy.yaml",
            "- apiVersion: audit.k8s.io/v1",
            "- kind: Policy",
            "- rules:",
            "- - level: Metadata",
        ]
    );
    let configured = changed(|spec| {
        spec.services.kube_api.audit_log = Some(AuditLogSpec {
            enabled: Some(true),
            has_configuration: true,
            max_age: Some(6),
            ..AuditLogSpec::default()
        });
    });
    assert_eq!(
        configured,
        [
            "+ --audit-log-maxage=6",
            "- --audit-log-maxage=30",
            "- --audit-log-maxbackup=10",
            "- --audit-log-maxsize=100",
        ]
    );
}

#[test]
fn without_authorization_everybody_may_do_everything() {
    assert_eq!(
        changed(|spec| spec.authorization = Some(AuthorizationMode::None)),
        ["- --authorization-mode=Node,RBAC", "- --use-service-account-credentials=true"]
    );
}

#[test]
fn pull_always_is_an_admission_plugin() {
    let changes = changed(|spec| spec.services.kube_api.always_pull_images = Some(true));
    assert_eq!(changes.len(), 2);
    assert!(changes[0].ends_with(",PersistentVolumeClaimResize,AlwaysPullImages"));
}

#[test]
fn etcd_may_run_as_a_user_of_its_own_who_owns_its_keys() {
    assert_eq!(
        changed(|spec| {
            spec.services.etcd.uid = Some(52_034);
            spec.services.etcd.gid = Some(52_035);
        }),
        [
            "+ user 52034:52035",
            "+ /etc/kubernetes/ssl/kube-etcd-key.pem 0600 52034:52035 key kube-etcd@node-1",
            "+ /etc/kubernetes/ssl/kube-etcd.pem 0600 52034:52035 certificate kube-etcd@node-1",
            "- /etc/kubernetes/ssl/kube-etcd-key.pem 0600 0:0 key kube-etcd@node-1",
            "- /etc/kubernetes/ssl/kube-etcd.pem 0600 0:0 certificate kube-etcd@node-1",
        ]
    );
}

#[test]
fn snapshots_are_taken_as_often_and_kept_as_long_as_desired() {
    let by_backup = changed(|spec| {
        spec.services.etcd.backup_config =
            Some(BackupSpec { interval_hours: Some(3), retention: Some(8), ..BackupSpec::default() });
    });
    assert_eq!(by_backup, ["+ --every=3h", "+ --keep=8", "- --every=12h", "- --keep=6"]);
    let by_times = changed(|spec| {
        spec.services.etcd.creation = Some(Duration::from_secs(5_400));
        spec.services.etcd.retention = Some(Duration::from_secs(86_400));
    });
    assert_eq!(by_times, ["+ --every=90m", "+ --keep=16", "- --every=12h", "- --keep=6"]);
    for off in [
        changed(|spec| spec.services.etcd.snapshot = Some(false)),
        changed(|spec| {
            spec.services.etcd.backup_config =
                Some(BackupSpec { enabled: Some(false), ..BackupSpec::default() });
        }),
    ] {
        assert_eq!(off[0], "- container etcd-rolling-snapshots");
    }
}

fn registry(url: &str, password: Option<&str>, is_default: bool) -> RegistrySpec {
    RegistrySpec {
        url: Some(url.to_owned()),
        user: password.map(|_| "robot".to_owned()),
        password: password.map(|password| windlass_model::Secret::new(password.to_owned())),
        is_default,
        ecr_credential_plugin: None,
    }
}

#[test]
fn a_default_registry_is_put_before_our_images_and_not_before_the_users() {
    let changes = changed(|spec| {
        spec.private_registries = vec![registry("registry.lan:5000", None, true)];
        spec.system_images.insert("etcd".into(), "quay.io/etcd:v3.4.14".into());
    });
    assert_eq!(
        changes,
        [
            "+ image quay.io/etcd:v3.4.14",
            "+ image registry.lan:5000/rancher/hyperkube:v1.20.2-rancher1",
            "+ image registry.lan:5000/rancher/hyperkube:v1.20.2-rancher1",
            "+ image registry.lan:5000/rancher/hyperkube:v1.20.2-rancher1",
            "+ image registry.lan:5000/rancher/hyperkube:v1.20.2-rancher1",
            "+ --pod-infra-container-image=registry.lan:5000/rancher/pause:3.2",
            "+ image registry.lan:5000/rancher/hyperkube:v1.20.2-rancher1",
            "+ registry.lan:5000/rancher/pause:3.2",
            "- image rancher/coreos-etcd:v3.4.14-rancher1",
            "- image rancher/hyperkube:v1.20.2-rancher1",
            "- image rancher/hyperkube:v1.20.2-rancher1",
            "- image rancher/hyperkube:v1.20.2-rancher1",
            "- image rancher/hyperkube:v1.20.2-rancher1",
            "- --pod-infra-container-image=rancher/pause:3.2",
            "- image rancher/hyperkube:v1.20.2-rancher1",
            "- rancher/pause:3.2",
        ]
    );
}

#[test]
fn credentials_are_a_secret_file_in_dockers_format() {
    let with_credentials = |spec: &mut ClusterSpec| {
        spec.private_registries = vec![
            registry("registry.lan:5000", Some("s3cret"), false),
            registry("docker.io", Some("hub"), false),
            registry("open.lan", None, false),
        ];
    };
    assert_eq!(changed(with_credentials), ["+ /var/lib/kubelet/config.json 0600 0:0 secret registry-auth"]);
    let mut spec = one();
    with_credentials(&mut spec);
    let resolution = resolved(&spec);
    let secrets: Vec<(&str, &str)> =
        resolution.secrets.iter().map(|(name, text)| (name.as_str(), text.expose().as_str())).collect();
    assert_eq!(
        secrets,
        [(
            "registry-auth",
            r#"{"auths":{"https://index.docker.io/v1/":{"auth":"cm9ib3Q6aHVi"},"registry.lan:5000":{"auth":"cm9ib3Q6czNjcmV0"}}}"#
        )]
    );
    assert!(!format!("{resolution:?}").contains("s3cret"));
}

#[test]
fn what_the_machine_tells_is_in_kubelets_flags_and_mounts() {
    let facts = HostFacts {
        docker_root: FilePath::from("/data/docker"),
        cgroup_driver: "systemd".into(),
        architecture: "aarch64".to_owned(),
        resolv_conf: FilePath::from("/run/systemd/resolve/resolv.conf"),
        ..HostFacts::default()
    };
    assert_eq!(
        difference(&blueprint(&one()), &on(&one(), &facts)),
        [
            "+ ETCD_UNSUPPORTED_ARCH=arm64",
            "+ --cgroup-driver=systemd",
            "+ --resolv-conf=/run/systemd/resolve/resolv.conf",
            "+ /data/docker:/data/docker:rw,rslave",
            "- --cgroup-driver=cgroupfs",
            "- --resolv-conf=/etc/resolv.conf",
            "- /var/lib/docker:/var/lib/docker:rw,rslave",
        ]
    );
}

fn on(spec: &ClusterSpec, facts: &HostFacts) -> Blueprint {
    let hosts = BTreeMap::from([(NodeName::from("node-1"), facts.clone())]);
    resolve(spec, Catalog::builtin(), &hosts).blueprint.expect("the cluster has no error")
}

#[test]
fn a_prefix_is_put_before_what_is_on_the_host_and_before_nothing_in_the_containers() {
    let mut spec = one();
    spec.prefix_path = Some("/opt/kube/".to_owned());
    let blueprint = blueprint(&spec);
    let node = &blueprint.nodes["node-1"];
    let footprint = &blueprint.footprints.ordinary;
    assert_eq!(blueprint.footprints.elsewhere, [], "the prefix of cluster.yml is that of all machines");
    for path in node.files.keys().chain(&footprint.files) {
        // The system reads these as it boots, wherever the rest may be.
        let is_read_by_the_system =
            ["/etc/modules-load.d/", "/etc/sysctl.d/"].iter().any(|place| path.as_str().starts_with(place));
        assert!(path.as_str().starts_with("/opt/kube/") || is_read_by_the_system, "{path}");
    }
    assert_eq!(footprint.etcd_data.as_str(), "/opt/kube/var/lib/etcd");
    assert_eq!(footprint.ledger.as_str(), "/opt/kube/etc/kubernetes/windlass/ledger.json");
    let scheduler = &node.containers[&Component::KubeScheduler].spec;
    assert_eq!(
        scheduler.binds.iter().map(|bind| &**bind).collect::<Vec<_>>(),
        ["/opt/kube/etc/kubernetes:/etc/kubernetes:ro"]
    );
    assert_eq!(
        scheduler.reads.keys().map(FilePath::as_str).collect::<Vec<_>>(),
        [
            "/opt/kube/etc/kubernetes/ssl/kube-ca.pem",
            "/opt/kube/etc/kubernetes/ssl/kube-scheduler-key.pem",
            "/opt/kube/etc/kubernetes/ssl/kube-scheduler.pem",
            "/opt/kube/etc/kubernetes/ssl/kubecfg-kube-scheduler.yaml",
        ]
    );
    let kubelet = &node.containers[&Component::Kubelet].spec;
    assert_eq!(kubelet.flag("root-dir"), Some("/opt/kube/var/lib/kubelet"));
    assert_eq!(
        kubelet.binds.last().map(|bind| &**bind),
        Some("/var/lib/kubelet/volumeplugins:/var/lib/kubelet/volumeplugins:shared")
    );
}

#[test]
fn a_machine_with_a_read_only_root_has_its_own_prefix() {
    let facts = HostFacts { operating_system: "Flatcar Container Linux".to_owned(), ..HostFacts::default() };
    let blueprint = on(&with_node(one(), 2, &[Role::Worker]), &facts);
    let ca = |node: &str| {
        blueprint.nodes[node].files.keys().find(|path| path.as_str().ends_with("kube-ca.pem")).cloned()
    };
    assert_eq!(ca("node-1"), Some("/opt/rke/etc/kubernetes/ssl/kube-ca.pem".into()));
    assert_eq!(ca("node-2"), Some("/etc/kubernetes/ssl/kube-ca.pem".into()));
    let footprint = |node: &str| blueprint.footprints.under(blueprint.nodes[node].prefix.as_ref());
    for node in ["node-1", "node-2"] {
        assert!(
            blueprint.nodes[node].files.keys().all(|path| footprint(node).files.contains(path)),
            "{node}"
        );
    }
    assert_eq!(footprint("node-1").etcd_data.as_str(), "/opt/rke/var/lib/etcd");
    assert_eq!(footprint("node-1").ledger.as_str(), "/opt/rke/etc/kubernetes/windlass/ledger.json");
    assert_eq!(footprint("node-2").etcd_data.as_str(), "/var/lib/etcd");
    // What the cluster is founded on is the same whatever its machines are.
    assert_eq!(blueprint.foundation.etcd_data.to_string(), "/var/lib/etcd:/var/lib/rancher/etcd/");
}

#[test]
fn labels_and_taints_of_roles_are_decided_by_roles() {
    let reserved = |spec: &mut ClusterSpec| {
        let node = &mut spec.nodes[0];
        node.labels = [("zone", "a"), ("node-role.kubernetes.io/worker", "maybe")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into();
        let taint = |key: &str, effect| TaintSpec { key: key.to_owned(), value: String::new(), effect };
        node.taints = vec![
            taint("gpu", TaintEffect::PreferNoSchedule),
            taint("node-role.kubernetes.io/etcd", TaintEffect::NoExecute),
        ];
    };
    assert_eq!(changed(reserved), ["+ zone=a", "+ taints", "+ gpu:PreferNoSchedule"]);
    assert_eq!(
        problems(reserved),
        [
            "warning: nodes[0].labels.node-role.kubernetes.io/worker: the label `node-role.kubernetes.io/worker` is decided by `role` (take it out; it has no effect)",
            "warning: nodes[0].taints[1]: the taint `node-role.kubernetes.io/etcd` is decided by `role` (take it out; it has no effect)",
        ]
    );
}

#[test]
fn one_address_alone_means_that_etcd_listens_on_all() {
    let changes = changed(|spec| spec.nodes[0].internal_address = None);
    assert_eq!(
        changes.iter().filter(|line| line.starts_with('+')).collect::<Vec<_>>(),
        [
            "+ ubuntu@192.0.2.1:22 inside 192.0.2.1 docker /var/run/docker.sock",
            "+ --listen-client-urls=https://0.0.0.0:2379",
            "+ --listen-peer-urls=https://0.0.0.0:2380",
            "+ --advertise-client-urls=https://192.0.2.1:2379",
            "+ --initial-advertise-peer-urls=https://192.0.2.1:2380",
            "+ ETCDCTL_ENDPOINTS=https://127.0.0.1:2379",
            "+ --endpoints=https://192.0.2.1:2379",
            "+ --advertise-address=192.0.2.1",
            "+ --etcd-servers=https://192.0.2.1:2379",
        ]
    );
}

#[test]
fn an_address_of_version_6_stands_in_brackets_in_urls_alone() {
    let changes = changed(|spec| spec.nodes[0].internal_address = Some("fd00::1".to_owned()));
    assert_eq!(
        changes.iter().filter(|line| line.contains("fd00::1")).collect::<Vec<_>>(),
        [
            "+ ubuntu@192.0.2.1:22 inside fd00::1 docker /var/run/docker.sock",
            "+ --listen-client-urls=https://[fd00::1]:2379",
            "+ --listen-peer-urls=https://[fd00::1]:2380",
            "+ --advertise-client-urls=https://[fd00::1]:2379",
            "+ --initial-advertise-peer-urls=https://[fd00::1]:2380",
            "+ ETCDCTL_ENDPOINTS=https://[fd00::1]:2379",
            "+ --endpoints=https://[fd00::1]:2379",
            "+ --advertise-address=fd00::1",
            "+ --etcd-servers=https://[fd00::1]:2379",
            "+ --node-ip=fd00::1",
            "+ fd00::1",
            "+ fd00::1",
        ]
    );
}

#[test]
fn members_of_etcd_advertise_the_address_that_the_target_tells() {
    for address in ["10.0.0.1", "etcd.lan", "fd00:0::1"] {
        let mut spec = one();
        spec.nodes[0].internal_address = Some(address.to_owned());
        let blueprint = blueprint(&spec);
        let node = &blueprint.nodes["node-1"];
        let advertised = node.containers[&Component::Etcd].spec.flag("initial-advertise-peer-urls");
        assert_eq!(advertised, Some(node.target.peer_url().as_str()));
    }
}

#[test]
fn each_api_server_asks_its_own_member_of_etcd_first() {
    let spec = (1..=3).fold(cluster("v1.20.2"), |spec, number| with_node(spec, number, &ALL));
    let blueprint = blueprint(&spec);
    let servers: Vec<&str> = blueprint
        .nodes
        .values()
        .filter_map(|node| node.containers[&Component::KubeApiserver].spec.flag("etcd-servers"))
        .collect();
    assert_eq!(
        servers,
        [
            "https://10.0.0.1:2379,https://10.0.0.2:2379,https://10.0.0.3:2379",
            "https://10.0.0.2:2379,https://10.0.0.1:2379,https://10.0.0.3:2379",
            "https://10.0.0.3:2379,https://10.0.0.1:2379,https://10.0.0.2:2379",
        ]
    );
}

#[test]
fn a_renewed_certificate_of_the_scheduler_concerns_the_scheduler_alone() {
    let blueprint = blueprint(&one());
    let readers = |file: &str| -> Vec<&str> {
        let containers = &blueprint.nodes["node-1"].containers;
        containers
            .iter()
            .filter(|(_, desired)| desired.spec.reads.contains_key(file))
            .map(|(component, _)| component.as_str())
            .collect()
    };
    assert_eq!(readers("/etc/kubernetes/ssl/kube-scheduler.pem"), ["kube-scheduler"]);
    assert_eq!(readers("/etc/kubernetes/ssl/kube-etcd.pem"), ["etcd", "etcd-rolling-snapshots"]);
    assert_eq!(
        readers("/etc/kubernetes/ssl/kube-ca.pem"),
        ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy"]
    );
    assert_eq!(
        readers("/etc/kubernetes/ssl/kube-etcd-ca.pem"),
        ["etcd", "etcd-rolling-snapshots", "kube-apiserver"]
    );
}

#[test]
fn every_certificate_is_signed_by_one_that_is_there_and_every_file_is_of_one_that_is_there() {
    let mut spec = with_node(one(), 2, &[Role::Worker]);
    spec.services.kubelet.generate_serving_certificate = Some(true);
    let blueprint = blueprint(&spec);
    for (name, cert) in &blueprint.certs {
        assert!(cert.issuer.as_ref().is_none_or(|issuer| blueprint.certs.contains_key(issuer)), "{name}");
    }
    let mut unused: Vec<&CertName> = blueprint.certs.keys().collect();
    for node in blueprint.nodes.values() {
        for (path, file) in &node.files {
            assert!(blueprint.footprints.ordinary.files.contains(path), "{path}");
            if let Content::Cert { cert, .. } = &file.content {
                assert!(blueprint.certs.contains_key(cert), "{cert}");
                unused.retain(|name| *name != cert);
            }
        }
    }
    assert_eq!(unused, [&CertName::from("kube-admin")]);
}

#[test]
fn nginx_answers_with_the_digest_of_its_configuration_without_that_line() {
    let blueprint = blueprint(&with_node(one(), 2, &[Role::Worker]));
    let file = &blueprint.nodes["node-2"].files["/etc/kubernetes/nginx-proxy/nginx.conf"];
    let Content::Text(text) = &file.content else { panic!("nginx.conf is a text") };
    let (answers, rest): (Vec<&str>, Vec<&str>) =
        text.split_inclusive('\n').partition(|line| line.contains("return"));
    let digest = windlass_model::Digest::of(rest.concat());
    assert_eq!(answers, [format!("    server {{ listen 127.0.0.1:6444; return \"{digest}\"; }}\n")]);
}

/// What is said of every version from 1.24 on.
const NO_CRI_DOCKERD: &str = "warning: : not yet deployed: cri-dockerd (run cri-dockerd, through which kubelet reaches Docker, on every node, with its socket at /var/run/cri-dockerd.sock, or have pods run by the hosts' containerd: `windlass.pod_runtime: containerd`)";

#[test]
fn a_version_without_images_says_which_ones_it_lacks() {
    let version = |text: &'static str| {
        move |spec: &mut ClusterSpec| spec.kubernetes_version = Some(text.parse().expect("a version"))
    };
    assert_eq!(
        problems(version("v1.29.1")),
        [
            "error: kubernetes_version: no images are known for v1.29.1, and `system_images` does not name `etcd`, `kubernetes`, `pod_infra_container` (did you mean `v1.29.6-rancher1-1`? Else name them under `system_images`)",
            NO_CRI_DOCKERD,
        ]
    );
    let named = |text: &'static str| {
        move |spec: &mut ClusterSpec| {
            version(text)(spec);
            *spec = with_images(spec.clone());
        }
    };
    assert_eq!(problems(named("v1.29.1")), [NO_CRI_DOCKERD]);
    assert_eq!(
        problems(named("v1.19.9")),
        [
            "warning: kubernetes_version: Kubernetes v1.19.9 is older than what windlass is tried with (its flags are those that RKE 1 gave it, and are not checked; v1.20 and later are tried)",
        ]
    );
    assert_eq!(
        problems(named("v1.7.9")),
        [
            "error: kubernetes_version: the flags of Kubernetes v1.7.9 are not known (windlass knows those from v1.8 to v1.37)",
        ]
    );
    assert_eq!(
        problems(version("v1.12.2")),
        [
            "error: kubernetes_version: no images are known for v1.12.2, and `system_images` does not name `etcd`, `kubernetes`, `pod_infra_container` (did you mean `v1.12.3-rancher1-1`? Else name them under `system_images`)",
        ]
    );
}

#[test]
fn an_image_of_another_minor_version_decides() {
    let other = |spec: &mut ClusterSpec| {
        spec.system_images.insert("kubernetes".into(), "registry.lan:5000/hyperkube:v1.21.3-rancher1".into());
    };
    assert_eq!(
        problems(other),
        [
            "warning: system_images.kubernetes: the image is of Kubernetes v1.21.3-rancher1, while `kubernetes_version` is v1.20.2 (the image decides: its version is what runs and what flags are chosen by)",
        ]
    );
    assert_eq!(changed(other)[0], "+ cluster demo, Kubernetes v1.21.3-rancher1");
}

#[test]
fn a_file_without_a_version_has_that_of_its_image_or_else_the_default() {
    let mut spec = one();
    spec.kubernetes_version = None;
    let default = blueprint(&spec);
    assert_eq!(default.version, *Catalog::builtin().default_version());
    assert_eq!(default.origins.version, None);
    spec.system_images.insert("kubernetes".into(), "rancher/hyperkube:v1.21.4-rancher1".into());
    let resolution = resolved(&spec);
    assert_eq!(resolution.problems, []);
    let blueprint = blueprint(&spec);
    assert_eq!(blueprint.version.to_string(), "v1.21.4-rancher1-1");
    assert_eq!(blueprint.origins.version, Some(SpecPath::from("system_images.kubernetes")));
}

#[test]
fn cri_dockerd_is_asked_for_where_it_can_be() {
    assert_eq!(
        problems(|spec| spec.enable_cri_dockerd = Some(true)),
        [
            "error: enable_cri_dockerd: cri-dockerd serves Kubernetes 1.21 and later, not v1.20.2 (take the key out)"
        ]
    );
    assert_eq!(
        problems(|spec| {
            spec.enable_cri_dockerd = Some(false);
            spec.kubernetes_version = Some("v1.30.5-rancher1-1".parse().expect("a version"));
        }),
        [
            "error: enable_cri_dockerd: kubelet v1.30.5-rancher1-1 can use Docker only through cri-dockerd (take the key out, or set `windlass.pod_runtime: containerd`)",
        ]
    );
}

#[test]
fn flags_of_a_members_birth_are_not_the_users() {
    let birth = |spec: &mut ClusterSpec| {
        spec.services.etcd.service.extra_args.insert("initial-cluster-token".into(), "mine".into());
    };
    assert_eq!(changed(birth), Vec::<String>::new());
    assert_eq!(
        problems(birth),
        [
            "warning: services.etcd.extra_args.initial-cluster-token: windlass alone decides on `initial-cluster-token`, when a member is born (take it out; it has no effect)",
        ]
    );
}

#[test]
fn the_common_endpoint_is_a_name_of_every_api_server() {
    let endpoint = EndpointSpec { host: "api.example.org".into(), port: 443 };
    let mut spec = one();
    spec.windlass.endpoint = Some(endpoint);
    let after = blueprint(&spec);
    let sans = |blueprint: &Blueprint| blueprint.certs["kube-apiserver@node-1"].sans.clone();
    let gained: Vec<San> = sans(&after).difference(&sans(&blueprint(&one()))).cloned().collect();
    assert_eq!(gained, [San::parse("api.example.org")]);
    assert_eq!(after.origins.sans, None);
    assert_eq!(after.origins.each_san, [("windlass.endpoint".into(), San::parse("api.example.org"))].into());
}

#[test]
fn the_validity_is_that_of_all_certificates_but_authorities() {
    let mut spec = one();
    spec.windlass.certificate_validity = Some(Duration::from_secs(365 * 86_400));
    for (name, desired) in blueprint(&spec).certs {
        let expected = if desired.kind == CertKind::Leaf { 365 } else { 3_650 };
        assert_eq!(desired.valid_days, expected, "{name}");
    }
}
