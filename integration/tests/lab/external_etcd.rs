//! A cluster stores its data in an etcd that somebody else runs, and does not touch it when the cluster is
//! removed.

use std::time::Duration;

use windlass_integration::lab::{
    Authority, Cluster, Images, Issued, Lab, LabError, LabShape, Node, Windlass, await_that,
};

type Outcome = Result<(), LabError>;

/// The prefix of the cluster's keys.
const PATH: &str = "/clusters/lab";
/// Somebody else's key in the same etcd.
const FOREIGN: &str = "/somebody/else";

#[test]
#[ignore = "needs a lab; see integration/lab/test"]
fn a_cluster_lives_in_an_external_etcd_and_leaves_it_as_it_is() -> Outcome {
    let lab = Lab::start(&LabShape::nodes(3).with_images_loaded())?;
    let windlass = Windlass::new(&lab)?;
    let etcd = ExternalEtcd::start(lab.node(3), &lab.image("etcd"))?;
    etcd.ask(&["put", FOREIGN, "stays"])?;

    let (control, worker): (&[&str], &[&str]) = (&["controlplane"], &["worker"]);
    let mut cluster = Cluster::of(&lab, Images::Loaded, [(1, control), (2, worker)]);
    let Issued { certificate, key } = &etcd.client;
    for (name, value) in [("ca_cert", etcd.authority.certificate()), ("cert", certificate), ("key", key)] {
        cluster.set(&format!("services.etcd.{name}"), value);
    }
    cluster.set("services.etcd.external_urls", vec![etcd.url()]);
    cluster.set("services.etcd.path", PATH).write(&windlass)?;
    let before = etcd.container()?;

    windlass.succeeds(["up"])?;
    assert_eq!(windlass.kubectl(&lab).ready_nodes()?, ["node-1", "node-2"]);
    let planned = windlass.planned()?;
    assert_eq!((planned.code, planned.changes, planned.findings), (Some(0), vec![], vec![]));
    assert!(!lab.node(1).components()?.contains_key("etcd"), "no etcd of its own");
    let stored = etcd.ask(&["get", "--prefix", "--keys-only", PATH])?;
    assert!(stored.contains(&format!("{PATH}/minions/node-2")), "{stored}");
    assert_eq!(etcd.ask(&["get", "--prefix", "--keys-only", "/registry"])?, "", "nothing beside the prefix");

    windlass.succeeds(["remove", "--force"])?;
    assert_eq!(lab.node(1).components()?.len() + lab.node(2).components()?.len(), 0);
    assert_eq!(etcd.container()?, before, "it was never stopped or made anew");
    assert_eq!(etcd.ask(&["get", "--print-value-only", FOREIGN])?.trim(), "stays");
    let stored = etcd.ask(&["get", "--prefix", "--keys-only", PATH])?;
    assert!(
        stored.contains(&format!("{PATH}/namespaces/kube-system")),
        "its data is nobody's to delete: {stored}"
    );
    Ok(())
}

/// One member, with TLS and certificates of its own CA, run by the node's Docker.
struct ExternalEtcd<'a> {
    node: &'a Node,
    authority: Authority,
    client: Issued,
}

impl<'a> ExternalEtcd<'a> {
    fn start(node: &'a Node, image: &str) -> Result<Self, LabError> {
        let authority = Authority::new("external-etcd-ca")?;
        let server = authority.issue("external-etcd", &[&node.address])?;
        let client = authority.issue("kube-apiserver", &[])?;
        node.root("mkdir -p /etc/external-etcd")?;
        for (name, text) in [
            ("ca.pem", authority.certificate()),
            ("server.pem", &server.certificate),
            ("server-key.pem", &server.key),
            ("client.pem", &client.certificate),
            ("client-key.pem", &client.key),
        ] {
            node.write_file(&format!("/etc/external-etcd/{name}"), text)?;
        }
        let own = Self { node, authority, client };
        let url = own.url();
        let run = format!(
            "run --detach --name external-etcd --network host --volume /etc/external-etcd:/keys:ro \
             --volume /var/lib/external-etcd:/data {image} etcd --data-dir=/data --client-cert-auth \
             --trusted-ca-file=/keys/ca.pem --cert-file=/keys/server.pem --key-file=/keys/server-key.pem"
        );
        let (listen, advertise) =
            (format!("--listen-client-urls={url}"), format!("--advertise-client-urls={url}"));
        node.docker(run.split_whitespace().chain([listen.as_str(), advertise.as_str()]))?;
        await_that("the external etcd is well", Duration::from_secs(30), || {
            own.ask(&["endpoint", "health"]).map(|_| true)
        })?;
        Ok(own)
    }

    fn url(&self) -> String {
        format!("https://{}:2379", self.node.address)
    }

    /// `etcdctl` as a client.
    fn ask(&self, arguments: &[&str]) -> Result<String, LabError> {
        let exec = "exec --env ETCDCTL_API=3 external-etcd etcdctl --cacert=/keys/ca.pem --cert=/keys/client.pem \
                    --key=/keys/client-key.pem";
        let endpoint = format!("--endpoints={}", self.url());
        let mut answer = None;
        // On a busy host Docker sometimes refuses an exec before anything runs in the container.
        await_that("an exec into the external etcd is started", Duration::from_secs(10), || {
            let words = exec.split_whitespace().chain([endpoint.as_str()]).chain(arguments.iter().copied());
            let asked = self.node.docker(words);
            let is_refused = matches!(asked, Err(LabError::Failed { code: Some(126), .. }));
            answer = Some(asked);
            Ok(!is_refused)
        })?;
        answer.expect("it was asked once at least")
    }

    /// Its container, as it was created and started.
    fn container(&self) -> Result<String, LabError> {
        self.node.docker(["inspect", "--format", "{{.Id}} {{.State.StartedAt}}", "external-etcd"])
    }
}
