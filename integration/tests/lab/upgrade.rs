//! From the previous version to the present one under load: etcd and Kubernetes, node by node, and no client
//! notices.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use windlass_integration::lab::{
    ApiProber, Cluster, Images, Lab, LabError, LabShape, Stops, Versions, Windlass, api_balancer, await_that,
    await_web, start_web,
};

type Outcome = Result<(), LabError>;

#[test]
#[ignore = "needs a lab; see integration/lab/test"]
fn a_cluster_is_upgraded_under_load_and_no_pod_is_restarted() -> Outcome {
    let lab = Lab::start(&LabShape::nodes(4).undisturbed())?;
    let windlass = Windlass::new(&lab)?;
    let (control, worker): (&[&str], &[&str]) = (&["controlplane", "etcd"], &["worker"]);
    let roles = [(1, control), (2, control), (3, control), (4, worker)];
    let mut cluster = Cluster::of(&lab, Images::FromRegistry, roles);
    // The test reaches nginx-proxy from elsewhere.
    cluster.set("windlass.local_ports", "open");
    let earlier = lab.earlier_versions().clone();
    cluster.set_versions(&lab, &earlier).write(&windlass)?;
    windlass.succeeds(["up"])?;
    let kubectl = windlass.kubectl(&lab);
    start_web(&lab, &kubectl, Images::FromRegistry)?;
    await_web(lab.node(4), 4)?;
    let pods = all_pods(&lab)?;
    assert_eq!(versions(&lab, &windlass)?, BTreeSet::from([earlier.kubernetes.clone()]));

    // etcd 3.7 cannot read what 3.5 wrote into a member's log: members first snapshot their logs, as a link
    // of its own.
    cluster.set_versions(&lab, lab.versions()).write(&windlass)?;
    let planned = windlass.planned()?;
    let follows: Vec<&str> = planned
        .findings
        .iter()
        .filter(|finding| finding["kind"] == "next")
        .filter_map(|finding| finding["what"].as_str())
        .collect();
    assert!(
        follows
            .iter()
            .any(|what| what.contains(&lab.versions().kubernetes) && what.contains(&lab.versions().etcd)),
        "{follows:#?}"
    );

    let balancer = lab.start_balancer(&api_balancer(&lab.nodes()[..3]))?;
    await_that("the balancer listens", Duration::from_secs(20), || {
        Ok(std::net::TcpStream::connect(format!("{balancer}:6443")).is_ok())
    })?;
    let proxy = ApiProber::start(&format!("{}:6443", lab.node(4).address), &windlass.kubeconfig())?;
    let through = ApiProber::start(&format!("{balancer}:6443"), &windlass.kubeconfig())?;
    await_that("the API answers", Duration::from_secs(20), || {
        Ok(proxy.so_far().answered >= 20 && through.so_far().answered >= 20)
    })?;
    let began = Instant::now();
    windlass.succeeds(["up"])?;
    let took = began.elapsed();
    let (proxy, through) = (proxy.stop(), through.stop());
    eprintln!(
        "upgraded in {took:.1?}; through nginx-proxy {} answers, lost {:?}, repeated {:?}; through the balancer {}, {:?}, {:?}",
        proxy.answered, proxy.failures, proxy.repeated, through.answered, through.failures, through.repeated
    );
    assert_eq!(versions(&lab, &windlass)?, BTreeSet::from([lab.versions().kubernetes.clone()]));
    for number in 1..=3 {
        let etcd = lab.node(number).docker(["exec", "etcd", "etcd", "--version"])?;
        assert!(etcd.contains(lab.versions().etcd.trim_start_matches('v')), "{etcd}");
    }
    assert_eq!(all_pods(&lab)?, pods, "no pod was restarted");
    await_web(lab.node(4), 4)?;
    assert_eq!(windlass.succeeds(["up"])?, "nothing to do: the cluster is as cluster.yml says\n");
    // etcd is replaced twice: before 3.7 comes a link in which members snapshot their logs.
    let stops = Stops { members: 6, api_servers: 3 };
    assert_eq!((stops.unexplained(&proxy), stops.unexplained(&through)), (vec![], vec![]));
    cluster.set_versions(&lab, &earlier).write(&windlass)?;
    it_is_undone(&lab, &windlass, &earlier)
}

/// The former versions, and the snapshot that `up` took before the last link: what was written since is gone, and the pods of
/// before answer.
fn it_is_undone(lab: &Lab, windlass: &Windlass, earlier: &Versions) -> Outcome {
    let kubectl = windlass.kubectl(lab);
    kubectl.run(["create", "configmap", "later"])?;
    let listed = windlass.succeeds(["etcd", "snapshot", "list"])?;
    let before: BTreeSet<&str> =
        listed.split_whitespace().filter(|word| word.starts_with("before-")).collect();
    assert_eq!(before.len(), 1, "one link changes minor versions: {listed}");
    let refused = windlass.run(["up"])?;
    assert_eq!(refused.code, Some(1), "{}{}", refused.stdout, refused.stderr);
    let began = Instant::now();
    for snapshot in before {
        windlass.succeeds(["etcd", "snapshot", "restore", snapshot, "--yes"])?;
    }
    eprintln!("undone in {:.1?}", began.elapsed());
    assert_eq!(versions(lab, windlass)?, BTreeSet::from([earlier.kubernetes.clone()]));
    let names = kubectl.run(["get", "configmaps", "-o", "name"])?;
    assert!(!names.contains("configmap/later"), "{names}");
    await_web(lab.node(4), 4)?;
    assert_eq!(windlass.planned()?.code, Some(0));
    Ok(())
}

/// The containers of pods of all nodes.
fn all_pods(lab: &Lab) -> Result<BTreeSet<String>, LabError> {
    lab.nodes().iter().try_fold(BTreeSet::new(), |mut all, node| {
        all.extend(node.pod_containers()?);
        Ok(all)
    })
}

/// The versions of kubelets that API servers report to clients.
fn versions(lab: &Lab, windlass: &Windlass) -> Result<BTreeSet<String>, LabError> {
    let nodes = windlass.kubectl(lab).json(["get", "nodes"])?;
    let version = |node: &serde_json::Value| {
        node["status"]["nodeInfo"]["kubeletVersion"].as_str().unwrap_or_default().to_owned()
    };
    Ok(nodes["items"].as_array().into_iter().flatten().map(version).collect())
}
