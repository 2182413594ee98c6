//! A cluster survives the loss of any control plane, and hosts that boot rejoin it without any command.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant, SystemTime};

use windlass_integration::lab::{
    ApiProber, Cluster, Images, Lab, LabError, LabShape, Node, Windlass, api_balancer, await_that, await_web,
    start_web,
};

type Outcome = Result<(), LabError>;

#[test]
#[ignore = "needs a lab; see integration/lab/test"]
fn any_control_plane_may_die_and_every_host_may_boot() -> Outcome {
    let lab = Lab::start(&LabShape::nodes(5).with_images_loaded())?;
    let windlass = Windlass::new(&lab)?;
    let mut cluster = Cluster::three_control_planes_two_workers(&lab);
    let balancer = lab.start_balancer(&api_balancer(&lab.nodes()[..3]))?;
    // The test reaches nginx-proxy from elsewhere.
    cluster.set("windlass.local_ports", "open");
    cluster.set("windlass.endpoint", format!("{balancer}:6443")).write(&windlass)?;
    windlass.succeeds(["up"])?;
    start_web(&lab, &windlass.kubectl(&lab), Images::FromRegistry)?;
    await_web(lab.node(4), 5)?;

    assert_eq!(contexts(&lab, &windlass)?, ["lab", "lab-node-1", "lab-node-2", "lab-node-3"]);
    for number in 1..=3 {
        outlives(&lab, &windlass, number)?;
    }
    // Each control plane has booted by now, after its power failed. Workers shut down in order.
    for node in &lab.nodes()[3..] {
        let began = SystemTime::now();
        node.reboot()?;
        comes_back(&lab, &windlass, &[node], began)?;
    }
    let began = SystemTime::now();
    std::thread::scope(|scope| {
        let reboots: Vec<_> = lab.nodes().iter().map(|node| scope.spawn(|| node.reboot())).collect();
        reboots.into_iter().try_for_each(|reboot| reboot.join().expect("a reboot does not panic"))
    })?;
    comes_back(&lab, &windlass, &lab.nodes().iter().collect::<Vec<_>>(), began)
}

fn contexts(lab: &Lab, windlass: &Windlass) -> Result<Vec<String>, LabError> {
    let text = windlass.kubectl(lab).run(["config", "get-contexts", "--output", "name"])?;
    let mut contexts: Vec<String> = text.lines().map(str::to_owned).collect();
    contexts.sort();
    Ok(contexts)
}

/// One control plane loses its power, and gets it back.
fn outlives(lab: &Lab, windlass: &Windlass, number: usize) -> Outcome {
    let (node, others) = (lab.node(number), (1..=5).filter(|other| *other != number));
    let others: Vec<&Node> = others.map(|other| lab.node(other)).collect();
    let pods = pods_of(&others)?;
    let probing = Instant::now();
    let worker = ApiProber::start(&format!("{}:6443", lab.node(4).address), &windlass.kubeconfig())?;
    await_that("the API answers", Duration::from_secs(10), || Ok(worker.so_far().answered >= 20))?;
    let dies = probing.elapsed();
    node.power_off()?;

    // Through the common endpoint, and through the contexts of the others.
    let common = windlass.kubectl(lab);
    await_that("an API server is ready at the common endpoint", Duration::from_secs(20), || {
        Ok(common.run(["get", "--raw", "/readyz"])? == "ok")
    })?;
    for living in (1..=3).filter(|living| *living != number) {
        let own = windlass.kubectl(lab).in_context(&format!("lab-node-{living}"));
        await_that(&format!("node-{living} is ready"), Duration::from_secs(20), || {
            Ok(own.run(["get", "--raw", "/readyz"])? == "ok")
        })?;
        own.run(["annotate", "namespace", "default", "--overwrite", &format!("seen-without-{number}=yes")])?;
    }
    assert!(
        !windlass.kubectl(lab).in_context(&format!("lab-{}", node.name)).to(["version"]).ran()?.is_success()
    );
    // The pods of the others answer each other as before.
    await_web(lab.node(5), 4)?;
    assert_eq!(pods_of(&others)?, pods, "pods elsewhere");
    let probed = worker.stop();
    eprintln!(
        "without {}: {} answers, the slowest after {:.1?}; refused in the moment of its death: {:?}",
        node.name, probed.answered, probed.slowest, probed.failures
    );
    // Requests that the dead API server or leader of etcd was handling are lost, and Kubernetes' own clients
    // repeat them. The rest have elected another leader soon.
    let moment = dies.as_secs_f64() - 1.0..dies.as_secs_f64() + 5.0;
    let later: Vec<_> = probed.failures.iter().filter(|(at, _)| !moment.contains(at)).collect();
    assert_eq!(later, Vec::<&(f64, String)>::new(), "through a worker's nginx-proxy");

    let began = SystemTime::now();
    node.power_on()?;
    comes_back(lab, windlass, &[node], began)
}

/// The containers of pods that run on some nodes, by node: others if one was recreated.
fn pods_of(nodes: &[&Node]) -> Result<BTreeMap<String, BTreeSet<String>>, LabError> {
    nodes.iter().map(|node| Ok((node.name.clone(), node.pod_containers()?))).collect()
}

/// Waits until these nodes, which boot, are part of the cluster again: kubelets send heartbeats, pods answer,
/// and `windlass` has nothing to do.
fn comes_back(lab: &Lab, windlass: &Windlass, nodes: &[&Node], began: SystemTime) -> Outcome {
    let kubectl = windlass.kubectl(lab);
    let names: Vec<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
    let limit = Duration::from_secs(240);
    for node in nodes {
        node.await_answering()?;
    }
    kubectl.await_leases(&names, SystemTime::now(), limit)?;
    kubectl.await_ready_nodes(5, limit)?;
    for node in nodes {
        await_web(node, 5)?;
    }
    let mut planned = windlass.planned()?;
    await_that("nothing is to be done", limit, || {
        planned = windlass.planned()?;
        Ok(planned.code == Some(0) && planned.findings.is_empty())
    })
    .inspect_err(|_| eprintln!("{planned:#?}"))?;
    eprintln!("{names:?} back after {:.1?}", began.elapsed().unwrap_or_default());
    Ok(())
}
