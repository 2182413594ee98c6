//! A pod network and `CoreDNS` are deployed with the cluster, are repaired, and are not removed by
//! themselves.

use std::time::Duration;

use windlass_integration::lab::{
    Cluster, Images, Kubectl, Lab, LabError, LabShape, Windlass, await_that, await_web, start_web,
};

type Outcome = Result<(), LabError>;

#[test]
#[ignore = "needs a lab; see integration/lab/test"]
fn a_network_and_names_come_with_the_cluster_and_are_repaired() -> Outcome {
    let lab = Lab::start(&LabShape::nodes(3))?;
    for node in lab.nodes() {
        // The lab's own network is removed: nodes are not ready before another one is deployed.
        node.root(
            "rm -f /etc/cni/net.d/*; ip link del cni0 2>/dev/null; \
             for net in $(seq 30); do ip route del 10.42.$net.0/24 2>/dev/null; done; true",
        )?;
    }
    let windlass = Windlass::new(&lab)?;
    let (control, worker): (&[&str], &[&str]) = (&["controlplane", "etcd"], &["worker"]);
    let mut cluster = Cluster::of(&lab, Images::FromRegistry, [(1, control), (2, worker), (3, worker)]);
    cluster.with_network_and_names(&lab).write(&windlass)?;

    windlass.succeeds(["up"])?;
    let kubectl = windlass.kubectl(&lab);
    assert_eq!(kubectl.ready_nodes()?, ["node-1", "node-2", "node-3"]);
    start_web(&lab, &kubectl, Images::FromRegistry)?;
    for node in lab.nodes() {
        await_web(node, lab.nodes().len())?;
    }
    names_are_resolved(&kubectl)?;
    assert_eq!(windlass.succeeds(["up"])?, "nothing to do: the cluster is as cluster.yml says\n");

    drift_is_repaired(&windlass, &kubectl)?;
    a_changed_key_changes_its_objects(&windlass, &mut cluster)?;
    a_field_of_somebody_else_is_left(&windlass, &kubectl, &mut cluster)?;
    names_are_resolved(&kubectl)?;
    what_is_no_longer_asked_for_goes(&windlass, &kubectl, &mut cluster)
}

/// All of `CoreDNS` is removed except the Service, which somebody else has created again; the network stays.
fn what_is_no_longer_asked_for_goes(
    windlass: &Windlass,
    kubectl: &Kubectl,
    cluster: &mut Cluster,
) -> Outcome {
    kubectl.run(["--namespace", "kube-system", "delete", "service", "kube-dns"])?;
    kubectl.run(["--namespace", "kube-system", "create", "service", "clusterip", "kube-dns", "--tcp=53"])?;
    cluster.set("dns.provider", "none").write(windlass)?;
    windlass.succeeds(["up"])?;
    let left = kubectl.run([
        "--namespace",
        "kube-system",
        "get",
        "deployment,configmap,daemonset,service",
        "-o",
        "name",
    ])?;
    for (object, stays) in [
        ("deployment.apps/coredns", false),
        ("deployment.apps/coredns-autoscaler", false),
        ("configmap/coredns", false),
        ("service/kube-dns", true),
        ("daemonset.apps/kube-flannel", true),
    ] {
        assert_eq!(left.lines().any(|line| line == object), stays, "{object}: {left}");
    }
    assert_eq!(windlass.planned()?.code, Some(0));
    Ok(())
}

/// Every pod of the workload resolves the Service's name and gets an answer.
fn names_are_resolved(kubectl: &Kubectl) -> Outcome {
    let pods = kubectl.json(["get", "pods", "--selector", "app=web"])?;
    for pod in pods["items"].as_array().into_iter().flatten() {
        let name = pod["metadata"]["name"].as_str().unwrap_or_default();
        await_that(&format!("{name} is answered by name"), Duration::from_secs(60), || {
            let asked = ["exec", name, "--", "wget", "-q", "-O", "-", "http://web.default.svc.cluster.local"];
            kubectl.run(asked).map(|answer| answer.starts_with("web-"))
        })?;
    }
    Ok(())
}

/// What somebody deletes or edits is shown as drift and repaired; what was never ours stays.
fn drift_is_repaired(windlass: &Windlass, kubectl: &Kubectl) -> Outcome {
    kubectl.run(["--namespace", "kube-system", "delete", "configmap", "coredns"])?;
    let patch = r#"{"spec":{"template":{"spec":{"priorityClassName":"system-cluster-critical"}}}}"#;
    kubectl.run(["--namespace", "kube-system", "patch", "daemonset", "kube-flannel", "--patch", patch])?;
    kubectl.run(["--namespace", "kube-system", "scale", "deployment", "coredns", "--replicas=2"])?;
    let planned = windlass.planned()?;
    let applied: Vec<&str> =
        planned.changes.iter().map(String::as_str).filter(|change| change.contains("/apply: ")).collect();
    assert_eq!(
        applied,
        [
            "cluster/dns/apply: ConfigMap kube-system/coredns: missing",
            "cluster/network/apply: DaemonSet kube-system/kube-flannel: spec.template.spec.priorityClassName \
             system-cluster-critical → system-node-critical, changed by somebody else"
        ]
    );
    windlass.succeeds(["up"])?;
    assert_eq!(windlass.planned()?.code, Some(0));
    let deployment = kubectl.json(["--namespace", "kube-system", "get", "deployment", "coredns"])?;
    assert_eq!(deployment["spec"]["replicas"], 2, "the number of replicas is nobody's wish");
    Ok(())
}

/// A key changes the objects that it names, and no other.
fn a_changed_key_changes_its_objects(windlass: &Windlass, cluster: &mut Cluster) -> Outcome {
    cluster.set("dns.upstreamnameservers", vec!["192.0.2.54".to_owned()]).write(windlass)?;
    let planned = windlass.planned()?;
    assert_eq!(planned.changes.len(), 1, "{:?}", planned.changes);
    assert!(
        planned.changes[0].starts_with("cluster/dns/apply: ConfigMap kube-system/coredns: data.Corefile")
    );
    windlass.succeeds(["up"])?;
    assert_eq!(windlass.planned()?.code, Some(0));
    Ok(())
}

/// Where another field manager owns a field that is to change, it is named, and nothing is forced.
fn a_field_of_somebody_else_is_left(
    windlass: &Windlass,
    kubectl: &Kubectl,
    cluster: &mut Cluster,
) -> Outcome {
    let theirs = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"coredns","namespace":"kube-system"},
        "data":{"Corefile":".:53 {\n    errors\n    health\n    ready\n    kubernetes cluster.local\n}\n"}}"#;
    kubectl
        .to(["apply", "--server-side", "--force-conflicts", "--field-manager=helm", "-f", "-"])
        .with_input(theirs)
        .output()?;
    let refused = windlass.run(["up"])?;
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    let said = format!("{}{}", refused.stdout, refused.stderr);
    assert!(said.contains("belongs to helm"), "{said}");
    // Handed back, it is windlass' again.
    kubectl.run(["--namespace", "kube-system", "delete", "configmap", "coredns"])?;
    cluster.set("dns.upstreamnameservers", vec!["192.0.2.53".to_owned()]).write(windlass)?;
    windlass.succeeds(["up"])?;
    assert_eq!(windlass.planned()?.code, Some(0));
    Ok(())
}
