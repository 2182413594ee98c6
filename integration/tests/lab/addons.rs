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
    objects_without_pods_are_taken_as_they_are(&lab, &windlass, &kubectl, &mut cluster)?;
    manifests_fail_by_themselves_and_jobs_run_once(&lab, &windlass, &kubectl, &mut cluster)?;
    what_is_no_longer_asked_for_goes(&windlass, &kubectl, &mut cluster)
}

/// The API server takes the objects of metrics-server and of Traefik, whose images no lab has, and stores each field as
/// it was applied: without pods both are as desired.
fn objects_without_pods_are_taken_as_they_are(
    lab: &Lab,
    windlass: &Windlass,
    kubectl: &Kubectl,
    cluster: &mut Cluster,
) -> Outcome {
    let image = format!("{}/lab/none:1", lab.registry().host);
    cluster
        .set("system_images.metrics_server", image.as_str())
        .set("monitoring.provider", "metrics-server")
        .set("monitoring.replicas", 0)
        .set("system_images.ingress_traefik", image.as_str())
        .set("ingress.provider", "traefik")
        .set("ingress.node_selector.edge", "nowhere")
        .set("ingress.extra_args.default-ssl-certificate", "ingress-nginx/own")
        .write(windlass)?;
    windlass.succeeds(["up"])?;
    let planned = windlass.planned()?;
    assert_eq!((planned.code, planned.changes), (Some(0), Vec::new()));
    kubectl.run(["get", "apiservice", "v1beta1.metrics.k8s.io"])?;
    kubectl.run(["--namespace", "ingress-nginx", "get", "daemonset", "traefik"])?;
    cluster.set("monitoring.provider", "none").set("ingress.provider", "none").write(windlass)?;
    windlass.succeeds(["up"])?;
    let left = kubectl.run(["get", "namespace,ingressclass,apiservice", "-o", "name"])?;
    for (object, stays) in [
        ("namespace/ingress-nginx", true),
        ("ingressclass.networking.k8s.io/nginx", false),
        ("apiservice.apiregistration.k8s.io/v1beta1.metrics.k8s.io", false),
    ] {
        assert_eq!(left.lines().any(|line| line == object), stays, "{object}: {left}");
    }
    Ok(())
}

/// A definition with its object, a Job and what Kubernetes refuses, in one text.
fn manifests_fail_by_themselves_and_jobs_run_once(
    lab: &Lab,
    windlass: &Windlass,
    kubectl: &Kubectl,
    cluster: &mut Cluster,
) -> Outcome {
    const MANIFESTS: &str = "
apiVersion: example.org/v1
kind: Mouse
metadata: {name: first, namespace: shop}
spec: {size: 3}
---
apiVersion: v1
kind: Service
metadata: {name: refused, namespace: shop}
spec: {ports: [{port: 99999}]}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: mice.example.org}
spec:
  group: example.org
  scope: Namespaced
  names: {kind: Mouse, plural: mice}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
---
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: batch/v1
kind: Job
metadata: {name: stock, namespace: shop}
spec:
  template:
    spec:
      restartPolicy: Never
      containers: [{name: stock, image: IMAGE, command: [sh, -c, 'true']}]
---
apiVersion: v1
kind: Secret
metadata: {name: till, namespace: shop}
stringData: {key: value}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: open, namespace: shop}
spec: {podSelector: {}, egress: [{ports: [{port: 53}]}]}
";
    let text = MANIFESTS.replace("IMAGE", &format!("{}/lab/busybox:1", lab.registry().host));
    cluster.set("addons", text.as_str()).write(windlass)?;
    let refused = windlass.run(["up"])?;
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    let said = format!("{}{}", refused.stdout, refused.stderr);
    assert!(said.contains("Service shop/refused") && said.contains("99999"), "{said}");
    kubectl.run(["--namespace", "shop", "get", "mice/first", "secret/till", "networkpolicy/open"])?;
    cluster.set("addons", text.replace("99999", "99")).write(windlass)?;
    windlass.succeeds(["up"])?;
    kubectl.run(["--namespace", "shop", "wait", "--for=condition=complete", "--timeout=50s", "job/stock"])?;
    kubectl.run(["--namespace", "shop", "delete", "job", "stock"])?;
    assert_eq!(windlass.planned()?.code, Some(0), "a Job that has run is not made again");
    cluster.remove("addons").write(windlass)?;
    windlass.succeeds(["up"])?;
    let left = kubectl.run(["get", "namespace/shop", "crd/mice.example.org", "-o", "name"])?;
    assert_eq!(left.lines().count(), 2, "{left}");
    assert_eq!(kubectl.run(["--namespace", "shop", "get", "mice,secrets", "-o", "name"])?, "");
    Ok(())
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
