//! A small cluster built by hand through the ports, without planner and blueprint.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use windlass_engine::{Clock, FilePut, LedgerStore, Minter, NewContainer, Nodes, PortResult};
use windlass_model::{
    CertKind, CertName, Ciphers, ContainerName, ContainerSeen, ContainerSpec, DesiredCert, Elsewhere,
    Footprint, Footprints, Health, ImageRef, KubernetesVersion, LastNode, Ledger, Loaded, Mode, NodeName,
    NodeTarget, OnChange, Owner, PidMode, Privilege, San, Secret, StoredCert, Usage,
};
use windlass_simulator::{
    FaultSchedule, MemoryLedger, RolloutRules, SimClock, SimFleet, SymbolicMinter, World,
};

pub(crate) const IMAGE: &str = "component:1";
pub(crate) const SSL: &str = "/etc/kubernetes/ssl";

pub(crate) struct Lab {
    pub(crate) fleet: SimFleet,
    pub(crate) minter: SymbolicMinter,
    pub(crate) ledger: MemoryLedger,
    pub(crate) clock: SimClock,
    pub(crate) kept: Ledger,
    pub(crate) size: usize,
    /// The version of whatever of Kubernetes is run next.
    pub(crate) version: Option<KubernetesVersion>,
}

pub(crate) fn node(number: usize) -> NodeName {
    NodeName::from(format!("node-{number}"))
}

pub(crate) fn name(text: &str) -> ContainerName {
    ContainerName::from(text)
}

pub(crate) fn address(number: usize) -> String {
    format!("10.0.0.{number}")
}

pub(crate) fn url(number: usize) -> String {
    format!("https://{}:2380", address(number))
}

pub(crate) async fn seconds(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

pub(crate) fn spec(command: &[String], reads: &[String]) -> ContainerSpec {
    ContainerSpec {
        image: ImageRef::from(IMAGE),
        command: command.iter().map(|text| Arc::from(text.as_str())).collect(),
        env: BTreeMap::new(),
        binds: [
            "/etc/kubernetes:/etc/kubernetes",
            "/var/lib/etcd:/var/lib/rancher/etcd",
            "/var/log/pods:/var/log/pods",
        ]
        .map(Arc::from)
        .to_vec(),
        pid: PidMode::Own,
        privilege: Privilege::Confined,
        user: None,
        reads: reads.iter().map(|path| (path.as_str().into(), OnChange::Replace)).collect(),
        ciphers: Ciphers::default(),
        version: None,
    }
}

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

impl Lab {
    /// This many bare machines with the one image, enrolled, with a CA in the ledger.
    pub(crate) fn new(size: usize) -> Self {
        Self::on(World::bare(size).with_images(&[IMAGE]), size)
    }

    pub(crate) fn on(world: World, size: usize) -> Self {
        let fleet = SimFleet::new(world);
        let minter = SymbolicMinter::new(&fleet);
        let mut lab = Self {
            ledger: MemoryLedger::new(&fleet),
            clock: SimClock::new(&fleet),
            kept: Ledger::new(minter.lineage()),
            minter,
            fleet,
            size,
            version: None,
        };
        lab.begin(FaultSchedule::none());
        lab.certify("ca", &DesiredCert { kind: CertKind::Authority, ..Self::desired("ca", &[]) });
        lab
    }

    pub(crate) fn rules() -> RolloutRules {
        RolloutRules { max_unavailable_worker: 1, max_unavailable_controlplane: 1, ..RolloutRules::default() }
    }

    /// A run begins; every machine is enrolled, and the keys are passed on.
    pub(crate) fn begin(&self, schedule: FaultSchedule) {
        self.fleet.begin_run(Self::rules(), schedule);
        self.enrol();
    }

    pub(crate) fn enrol(&self) {
        for number in 1..=self.size {
            let target = NodeTarget {
                address: address(number),
                port: 22,
                user: "ops".to_owned(),
                internal_address: address(number),
                docker_socket: "/var/run/docker.sock".into(),
                key_path: None,
            };
            self.fleet
                .enrol(&node(number), &LastNode { target, roles: BTreeSet::new(), prefix: None, etcd: None });
        }
        self.fleet.entrust(&self.kept);
    }

    pub(crate) fn desired(common_name: &str, sans: &[&str]) -> DesiredCert {
        DesiredCert {
            kind: CertKind::Leaf,
            common_name: common_name.to_owned(),
            organizations: Vec::new(),
            issuer: (common_name != "ca").then(|| CertName::from("ca")),
            usages: BTreeSet::from([Usage::ClientAuth, Usage::ServerAuth]),
            sans: sans.iter().map(|san| San::parse(san)).collect(),
            valid_days: 3_650,
            service: None,
        }
    }

    /// Issues a certificate and commits it.
    pub(crate) fn certify(&mut self, name: &str, desired: &DesiredCert) -> StoredCert {
        let cert = self.mint(name, desired).unwrap();
        self.kept.certs.insert(name.into(), cert.clone());
        self.kept.serial += 1;
        self.ledger.commit(&self.kept).unwrap();
        cert
    }

    pub(crate) fn mint(&self, name: &str, desired: &DesiredCert) -> PortResult<StoredCert> {
        let issuer = desired.issuer.as_ref().and_then(|issuer| self.kept.certs.get(issuer));
        self.minter.mint(&name.into(), desired, issuer, self.clock.now())
    }

    pub(crate) async fn write(&self, on: usize, path: &str, text: &str) -> PortResult<()> {
        self.write_as(on, path, text, Mode::PRIVATE).await
    }

    pub(crate) async fn write_as(&self, on: usize, path: &str, text: &str, mode: Mode) -> PortResult<()> {
        let file = FilePut {
            path: path.into(),
            content: Secret::new(text.as_bytes().to_vec()),
            mode,
            owner: Owner::default(),
        };
        self.fleet.put_files(&node(on), &[file]).await
    }

    /// Writes a certificate and its key to `<name>.pem` and `<name>-key.pem`.
    pub(crate) async fn place(&self, on: usize, name: &str, cert: &StoredCert) {
        self.write(on, &format!("{SSL}/{name}.pem"), &cert.certificate).await.unwrap();
        self.write(on, &format!("{SSL}/{name}-key.pem"), cert.key.expose()).await.unwrap();
    }

    pub(crate) async fn place_authority(&self, on: usize) {
        let authority = self.kept.certs[&CertName::from("ca")].certificate.clone();
        self.write(on, &format!("{SSL}/ca.pem"), &authority).await.unwrap();
    }

    pub(crate) async fn create(
        &self,
        on: usize,
        called: &str,
        spec: &ContainerSpec,
        birth: &[String],
    ) -> PortResult<()> {
        let new = NewContainer {
            spec: Arc::new(spec.clone()),
            birth: birth.iter().map(|text| Arc::from(text.as_str())).collect(),
            loaded: Loaded::new(),
            lineage: None,
            beside_data: None,
            beside_log: None,
        };
        self.fleet.create(&node(on), &name(called), &new).await
    }

    pub(crate) async fn run(&self, on: usize, called: &str, spec: &ContainerSpec, birth: &[String]) {
        self.create(on, called, spec, birth).await.unwrap();
        self.fleet.start(&node(on), &name(called)).await.unwrap();
    }

    pub(crate) async fn seen(&self, on: usize, called: &str) -> ContainerSeen {
        self.fleet.container(&node(on), &name(called)).await.unwrap().unwrap()
    }

    pub(crate) async fn health(&self, on: usize, called: &str) -> Health {
        self.seen(on, called).await.health
    }

    pub(crate) fn etcd_spec(number: usize) -> ContainerSpec {
        let flag = |name: &str, file: &str| format!("--{name}={SSL}/{file}");
        let command = [
            "etcd".to_owned(),
            format!("--name=etcd-{number}"),
            "--data-dir=/var/lib/rancher/etcd/".to_owned(),
            format!("--initial-advertise-peer-urls={}", url(number)),
            flag("peer-cert-file", "etcd.pem"),
            flag("peer-key-file", "etcd-key.pem"),
            flag("peer-trusted-ca-file", "ca.pem"),
            flag("cert-file", "etcd.pem"),
            flag("key-file", "etcd-key.pem"),
            flag("trusted-ca-file", "ca.pem"),
        ];
        spec(&command, &["ca.pem", "etcd.pem", "etcd-key.pem"].map(|file| format!("{SSL}/{file}")))
    }

    pub(crate) fn birth(members: &[usize], state: &str) -> Vec<String> {
        let list: Vec<String> =
            members.iter().map(|number| format!("etcd-{number}={}", url(*number))).collect();
        vec![format!("--initial-cluster={}", list.join(",")), format!("--initial-cluster-state={state}")]
    }

    /// Certificates for etcd on this machine.
    pub(crate) async fn certify_etcd(&mut self, number: usize) {
        let desired = Self::desired("kube-etcd", &[&address(number), "127.0.0.1"]);
        let cert = self.certify(&format!("etcd-{number}"), &desired);
        self.place_authority(number).await;
        self.place(number, "etcd", &cert).await;
    }

    /// A cluster of etcd on the first machines, healthy.
    pub(crate) async fn etcd(&mut self, count: usize) {
        let members: Vec<usize> = (1..=count).collect();
        for number in 1..=count {
            self.certify_etcd(number).await;
        }
        for number in 1..=count {
            self.run(number, "etcd", &Self::etcd_spec(number), &Self::birth(&members, "new")).await;
        }
        seconds(12).await;
        for number in 1..=count {
            assert_eq!(self.health(number, "etcd").await, Health::Healthy, "{}", self.story());
        }
    }

    /// An API server on this machine, before etcd on the first `etcds` machines.
    pub(crate) async fn api(&mut self, number: usize, etcds: usize) {
        let desired = Self::desired("kube-apiserver", &[&address(number), "127.0.0.1", "localhost"]);
        let cert = self.certify(&format!("kube-apiserver-{number}"), &desired);
        self.place_authority(number).await;
        self.place(number, "kube-apiserver", &cert).await;
        let servers: Vec<String> =
            (1..=etcds).map(|etcd| format!("https://{}:2379", address(etcd))).collect();
        let mut command = texts(&[
            "kube-apiserver",
            "--etcd-cafile=/etc/kubernetes/ssl/ca.pem",
            "--etcd-certfile=/etc/kubernetes/ssl/kube-apiserver.pem",
            "--etcd-keyfile=/etc/kubernetes/ssl/kube-apiserver-key.pem",
            "--tls-cert-file=/etc/kubernetes/ssl/kube-apiserver.pem",
            "--tls-private-key-file=/etc/kubernetes/ssl/kube-apiserver-key.pem",
            "--client-ca-file=/etc/kubernetes/ssl/ca.pem",
        ]);
        command.push(format!("--etcd-servers={}", servers.join(",")));
        let reads =
            ["ca.pem", "kube-apiserver.pem", "kube-apiserver-key.pem"].map(|file| format!("{SSL}/{file}"));
        let spec = ContainerSpec { version: self.version.clone(), ..spec(&command, &reads) };
        self.run(number, "kube-apiserver", &spec, &[]).await;
    }

    /// nginx-proxy before the API servers on these machines.
    pub(crate) async fn nginx(&mut self, number: usize, apis: &[usize]) {
        self.nginx_config(number, apis).await;
        let mut spec = spec(&texts(&["nginx"]), &[]);
        spec.binds.push(Arc::from("/etc/kubernetes/nginx:/etc/nginx"));
        spec.reads.insert("/etc/kubernetes/nginx/nginx.conf".into(), OnChange::Reload);
        self.run(number, "nginx-proxy", &spec, &[]).await;
    }

    pub(crate) async fn nginx_config(&self, number: usize, apis: &[usize]) {
        let servers: Vec<String> =
            apis.iter().map(|api| format!("    server {}:6443;\n", address(*api))).collect();
        let servers = servers.concat();
        let text = format!("stream {{\n  upstream api {{\n{servers}  }}\n}}\n");
        self.write(number, "/etc/kubernetes/nginx/nginx.conf", &text).await.unwrap();
    }

    /// kubelet or kube-proxy.
    pub(crate) async fn agent(&mut self, number: usize, called: &str) {
        let common_name = if called == "kubelet" {
            format!("system:node:node-{number}")
        } else {
            format!("system:{called}")
        };
        let mut desired = Self::desired(&common_name, &[]);
        desired.organizations = vec!["system:nodes".to_owned()];
        let cert = self.certify(&format!("{called}-{number}"), &desired);
        self.place_authority(number).await;
        self.place(number, called, &cert).await;
        let kubeconfig = format!(
            "clusters:\n- cluster:\n    certificate-authority: {SSL}/ca.pem\n    server: \"https://127.0.0.1:6443\"\n\
             users:\n- user:\n    client-certificate: {SSL}/{called}.pem\n    client-key: {SSL}/{called}-key.pem\n"
        );
        self.write(number, &format!("{SSL}/{called}.yaml"), &kubeconfig).await.unwrap();
        let command = [
            called.to_owned(),
            format!("--kubeconfig={SSL}/{called}.yaml"),
            format!("--hostname-override=node-{number}"),
        ];
        let reads = [".yaml", ".pem", "-key.pem"].map(|end| format!("{SSL}/{called}{end}"));
        let spec = ContainerSpec { version: self.version.clone(), ..spec(&command, &reads) };
        self.run(number, called, &spec, &[]).await;
    }

    /// nginx-proxy, kubelet and kube-proxy.
    pub(crate) async fn worker(&mut self, number: usize, apis: &[usize]) {
        self.nginx(number, apis).await;
        self.agent(number, "kubelet").await;
        self.agent(number, "kube-proxy").await;
    }

    pub(crate) fn story(&self) -> String {
        self.fleet.with(|world| world.story())
    }

    /// The kinds of rules that were broken, in order.
    pub(crate) fn broken(&self) -> Vec<windlass_simulator::ViolationKind> {
        self.fleet.with(|world| world.violations().iter().map(|violation| violation.kind).collect())
    }
}

/// The places on ordinary machines, and on those that run Flatcar.
pub(crate) fn footprints(etcd_data: &str, ledger: &str) -> Arc<Footprints> {
    let under = |prefix: &str| Footprint {
        etcd_data: format!("{prefix}{etcd_data}").into(),
        ledger: format!("{prefix}{ledger}").into(),
        ..Footprint::default()
    };
    let flatcar = Elsewhere {
        systems: ["Flatcar".to_owned()].into(),
        prefix: "/opt/rke".into(),
        footprint: under("/opt/rke"),
    };
    Arc::new(Footprints { ordinary: under(""), elsewhere: vec![flatcar] })
}
