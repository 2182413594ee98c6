//! What only Kubernetes before 1.24 shows: pods that Docker runs, one image with all of Kubernetes, insecure flags, etcd 3.4.
//!
//! `integration/lab/test dockershim` builds that era's lab; `integration/test` runs these where it is built.

use std::time::Duration;

use windlass_integration::lab::{
    Cluster, Era, Images, Lab, LabError, LabShape, Windlass, await_web, start_web,
};

type Outcome = Result<(), LabError>;

#[test]
#[ignore = "needs the lab of dockershim; see integration/lab/test"]
fn hosts_become_a_cluster_whose_pods_docker_runs_and_are_left_without_them() -> Outcome {
    let lab = Lab::start(&LabShape::nodes(4).of_era(Era::Dockershim))?;
    let windlass = Windlass::new(&lab)?;
    let (control, worker): (&[&str], &[&str]) = (&["controlplane", "etcd"], &["worker"]);
    let roles = [(1, control), (2, control), (3, control), (4, worker)];
    let mut cluster = Cluster::of(&lab, Images::FromRegistry, roles);
    cluster.write(&windlass)?;
    windlass.succeeds(["up"])?;
    let kubectl = windlass.kubectl(&lab);
    assert_eq!(kubectl.ready_nodes()?, ["node-1", "node-2", "node-3", "node-4"]);
    start_web(&lab, &kubectl, Images::FromRegistry)?;
    for node in lab.nodes() {
        await_web(node, 4)?;
    }
    let before = lab.state()?;
    assert_eq!(windlass.succeeds(["up"])?, "nothing to do: the cluster is as cluster.yml says\n");
    assert_eq!(lab.state()?, before);

    rolls_on(&lab, &windlass, &mut cluster)?;

    windlass.succeeds(["remove", "--force"])?;
    for node in lab.nodes() {
        assert_eq!(node.docker(["ps", "-aq"])?, "", "{}", node.name);
        assert!(!node.has_path("/etc/kubernetes")?, "{}", node.name);
    }
    Ok(())
}

/// A change of each component of the nodes, and reissued certificates, do not affect pods.
fn rolls_on(lab: &Lab, windlass: &Windlass, cluster: &mut Cluster) -> Outcome {
    let worker = lab.node(4);
    let pods = worker.pod_containers()?;
    assert!(!pods.is_empty());
    for (service, argument, value) in
        [("etcd", "max-snapshots", "6"), ("kube-api", "event-ttl", "2h"), ("kubelet", "max-pods", "120")]
    {
        cluster.set(&format!("services.{service}.extra_args.{argument}"), value);
    }
    cluster.write(windlass)?;
    windlass.succeeds(["up"])?;
    windlass.succeeds(["cert-rotate", "--all"])?;
    windlass.kubectl(lab).await_ready_nodes(4, Duration::from_secs(60))?;
    for node in lab.nodes() {
        await_web(node, 4)?;
    }
    assert_eq!(worker.pod_containers()?, pods, "no pod was restarted");
    Ok(())
}
