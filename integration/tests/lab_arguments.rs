//! A changed argument replaces its component only, one control plane at a time, and the API answers throughout.
#![expect(clippy::print_stderr, reason = "a test of minutes tells how far it is")]

use std::time::{Duration, Instant};

use windlass_integration::lab::{
    ApiProber, Cluster, Lab, LabError, LabShape, LabState, Windlass, await_that,
};

type Outcome = Result<(), LabError>;

#[test]
#[ignore = "needs a lab; see integration/lab/test"]
fn a_changed_argument_replaces_its_component_alone_and_the_api_answers_throughout() -> Outcome {
    let lab = Lab::start(&LabShape::nodes(5))?;
    let windlass = Windlass::new(&lab)?;
    let mut cluster = Cluster::three_control_planes_two_workers(&lab);
    cluster.write(&windlass)?;
    windlass.succeeds(["up"])?;
    each_component_changes_alone(&lab, &windlass, &mut cluster)
}

fn each_component_changes_alone(lab: &Lab, windlass: &Windlass, cluster: &mut Cluster) -> Outcome {
    // An argument of each component that does not keep it from working, with the nodes that run it.
    let edits: [(&str, &str, &str, &str, &[usize]); 6] = [
        ("kube-scheduler", "scheduler", "v", "3", &[1, 2, 3]),
        ("kube-controller-manager", "kube-controller", "v", "3", &[1, 2, 3]),
        ("kube-apiserver", "kube-api", "event-ttl", "2h", &[1, 2, 3]),
        ("etcd", "etcd", "max-snapshots", "6", &[1, 2, 3]),
        ("kubelet", "kubelet", "max-pods", "120", &[1, 2, 3, 4, 5]),
        ("kube-proxy", "kubeproxy", "v", "3", &[1, 2, 3, 4, 5]),
    ];
    for (component, service, argument, value, numbers) in edits {
        eprintln!("--{argument}={value} of {component}");
        cluster.set(&format!("services.{service}.extra_args.{argument}"), value);
        cluster.write(windlass)?;
        let before = lab.state()?;
        let planned = windlass.planned()?;
        let steps: Vec<&str> =
            planned.changes.iter().map(|change| change.split(':').next().unwrap_or_default()).collect();
        let expected: Vec<String> =
            numbers.iter().map(|number| format!("node-{number}/{component}/replace")).collect();
        assert_eq!((planned.code, steps), (Some(2), expected.iter().map(String::as_str).collect()));

        let proxied = ApiProber::start(&format!("{}:6443", lab.node(4).address), &windlass.kubeconfig())?;
        await_that("the API answers", Duration::from_secs(10), || Ok(proxied.so_far().answered >= 20))?;
        let began = Instant::now();
        windlass.succeeds(["up"])?;
        let took = began.elapsed();
        let probed = proxied.stop();
        eprintln!("  {took:.1?}; {} answers, the slowest after {:.1?}", probed.answered, probed.slowest);
        assert_eq!(probed.failures, [], "while {component} was replaced; {} answered", probed.answered);

        let expected: Vec<String> =
            numbers.iter().map(|number| format!("node-{number} {component} created")).collect();
        assert_eq!(lab.state()?.since(&before), expected);
        assert_one_after_another(&lab.state()?, component, numbers);
    }
    Ok(())
}

/// Each node's container was created after the one before had started.
fn assert_one_after_another(state: &LabState, component: &str, numbers: &[usize]) {
    // Workers may change together, as far as cluster.yml lets them.
    let control = numbers.iter().filter(|number| **number <= 3);
    let mut spans: Vec<_> = control
        .map(|number| &state.containers()[&format!("node-{number} {component}")])
        .map(|container| (&container.created, &container.started))
        .collect();
    spans.sort();
    for pair in spans.windows(2) {
        assert!(pair[0].1 < pair[1].0, "{component}: {spans:?}");
    }
}
