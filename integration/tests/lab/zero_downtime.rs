//! Arguments and certificates change while the cluster works: the components that they concern are replaced,
//! one control plane at a time, and the API answers throughout.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use windlass_integration::lab::{
    ApiProber, Cluster, Lab, LabError, LabShape, LabState, Stops, Windlass, api_balancer, await_that,
};

type Outcome = Result<(), LabError>;

#[test]
#[ignore = "needs a lab; see integration/lab/test"]
fn arguments_and_certificates_change_and_the_api_answers_throughout() -> Outcome {
    let lab = Lab::start(&LabShape::nodes(5).with_images_loaded().undisturbed())?;
    let windlass = Windlass::new(&lab)?;
    let mut cluster = Cluster::three_control_planes_two_workers(&lab);
    // The test reaches nginx-proxy from elsewhere.
    cluster.set("windlass.local_ports", "open").write(&windlass)?;
    windlass.succeeds(["up"])?;
    each_component_changes_alone(&lab, &windlass, &mut cluster)?;
    a_load_balancer_is_put_in_front(&lab, &windlass, &mut cluster)?;
    certificates_are_made_anew(&lab, &windlass)
}

fn each_component_changes_alone(lab: &Lab, windlass: &Windlass, cluster: &mut Cluster) -> Outcome {
    // An argument of each component that does not prevent it from working, with the nodes that run it.
    let edits: [(&str, &str, &str, &str, &[usize]); 6] = [
        ("kube-scheduler", "scheduler", "v", "3", &[1, 2, 3]),
        ("kube-controller-manager", "kube-controller", "v", "3", &[1, 2, 3]),
        ("kube-apiserver", "kube-api", "event-ttl", "2h", &[1, 2, 3]),
        ("etcd", "etcd", "max-snapshots", "6", &[1, 2, 3]),
        ("kubelet", "kubelet", "max-pods", "120", &[1, 2, 3, 4, 5]),
        ("kube-proxy", "kubeproxy", "v", "3", &[1, 2, 3, 4, 5]),
    ];
    for (component, service, argument, value, numbers) in edits {
        cluster.set(&format!("services.{service}.extra_args.{argument}"), value);
        cluster.write(windlass)?;
        let before = lab.state()?;
        let planned = windlass.planned()?;
        let steps: Vec<&str> =
            planned.changes.iter().map(|change| change.split(':').next().unwrap_or_default()).collect();
        let expected: Vec<String> =
            numbers.iter().map(|number| format!("node-{number}/{component}/replace")).collect();
        assert_eq!((planned.code, steps), (Some(2), expected.iter().map(String::as_str).collect()));

        let through = format!("{}:6443", lab.node(4).address);
        let ended = match component {
            "etcd" => Stops { members: numbers.len(), ..Stops::default() },
            "kube-apiserver" => Stops { api_servers: numbers.len(), ..Stops::default() },
            _ => Stops::default(),
        };
        answering(&format!("--{argument}={value} of {component}"), &through, ended, windlass, || {
            windlass.succeeds(["up"]).map(|_| ())
        })?;
        let after = lab.state()?;
        let expected: Vec<String> =
            numbers.iter().map(|number| format!("node-{number} {component} created")).collect();
        assert_eq!(after.since(&before), expected);
        assert_one_after_another(&after, component);
    }
    Ok(())
}

/// Does this while the API is asked twenty times a second, and must answer each time; but a stopping server
/// may make clients repeat requests that it is handling at that moment (`Stops`).
fn answering(
    what: &str,
    through: &str,
    stops: Stops,
    windlass: &Windlass,
    change: impl FnOnce() -> Outcome,
) -> Outcome {
    let prober = ApiProber::start(through, &windlass.kubeconfig())?;
    await_that("the API answers", Duration::from_secs(10), || Ok(prober.so_far().answered >= 20))?;
    let began = Instant::now();
    change()?;
    let took = began.elapsed();
    let seen = prober.stop();
    let slowest = seen.slowest;
    eprintln!("{what}: {took:.1?}; {} answers, the slowest after {slowest:.1?}", seen.answered);
    eprintln!("{what}: without an answer: {:?}; repeated: {:?}", seen.failures, seen.repeated);
    assert_eq!(stops.unexplained(&seen), vec![], "{what}: {seen:?}");
    Ok(())
}

/// Each control plane's container was created after the previous one had started.
fn assert_one_after_another(state: &LabState, component: &str) {
    // Workers may change together, within the limit of cluster.yml.
    let mut spans: Vec<_> = (1..=3)
        .map(|number| &state.containers()[&format!("node-{number} {component}")])
        .map(|container| (&container.created, &container.started))
        .collect();
    spans.sort();
    for pair in spans.windows(2) {
        assert!(pair[0].1 < pair[1].0, "{component}: {spans:?}");
    }
}

fn a_load_balancer_is_put_in_front(lab: &Lab, windlass: &Windlass, cluster: &mut Cluster) -> Outcome {
    let balancer = lab.start_balancer(&api_balancer(&lab.nodes()[..3]))?;
    let server = format!("--server=https://{balancer}:6443");
    let ask = || windlass.kubectl(lab).to([&server, "get", "--raw", "/readyz"]).ran();
    let refused = ask()?.stderr;
    assert!(refused.contains("x509: certificate is valid for") && refused.contains(&balancer), "{refused}");

    cluster.set("authentication.sans", vec![balancer.clone()]).write(windlass)?;
    let before = lab.state()?;
    let planned = windlass.planned()?;
    let files = "/etc/kubernetes/ssl/kube-apiserver-key.pem is renewed; /etc/kubernetes/ssl/kube-apiserver.pem is renewed";
    let readers =
        "/etc/kubernetes/ssl/kube-apiserver-key.pem changed; /etc/kubernetes/ssl/kube-apiserver.pem changed";
    let mut expected = vec![
        format!("cluster/certificates/mint: SAN {balancer} added"),
        "cluster/ledger/commit: 3 new certificates with their keys".to_owned(),
    ];
    for number in 1..=3 {
        expected.push(format!("node-{number}/files/write: {files}"));
        expected.push(format!("node-{number}/kube-apiserver/replace: {readers}"));
        expected.push(format!("node-{number}/ledger/write: /etc/kubernetes/windlass/ledger.json is renewed"));
    }
    assert_eq!(planned.changes, expected);

    let stops = Stops { api_servers: 3, ..Stops::default() };
    answering("SAN added", &format!("{balancer}:6443"), stops, windlass, || {
        windlass.succeeds(["cert-rotate", "--service", "kube-apiserver"]).map(|_| ())
    })?;
    let after = lab.state()?;
    assert_eq!(created(&after, &before), ["kube-apiserver"]);
    assert_one_after_another(&after, "kube-apiserver");
    let answer = ask()?;
    assert_eq!((answer.stdout.as_str(), answer.code), ("ok", Some(0)), "{}", answer.stderr);
    assert_eq!(windlass.planned()?.code, Some(0));
    Ok(())
}

/// The components that were recreated, on any node.
fn created(after: &LabState, before: &LabState) -> Vec<String> {
    let changes = after.since(before);
    let created = changes.iter().filter_map(|change| change.strip_suffix(" created"));
    let names: BTreeSet<String> =
        created.filter_map(|change| change.split_once(' ')).map(|(_, name)| name.to_owned()).collect();
    names.into_iter().collect()
}

/// The certificates that were rewritten, on any node.
fn renewed(after: &LabState, before: &LabState) -> BTreeSet<String> {
    let changes = after.since(before);
    let written = changes.iter().filter_map(|change| change.strip_suffix(".pem written"));
    written.filter_map(|path| path.rsplit_once('/')).map(|(_, name)| name.to_owned()).collect()
}

fn certificates_are_made_anew(lab: &Lab, windlass: &Windlass) -> Outcome {
    let through = format!("{}:6443", lab.node(4).address);
    let before = lab.state()?;
    answering("cert-rotate --service kube-scheduler", &through, Stops::default(), windlass, || {
        windlass.succeeds(["cert-rotate", "--service", "kube-scheduler"]).map(|_| ())
    })?;
    let one = lab.state()?;
    assert_eq!(created(&one, &before), ["kube-scheduler"]);
    assert_eq!(
        renewed(&one, &before).into_iter().collect::<Vec<_>>(),
        ["kube-scheduler", "kube-scheduler-key"]
    );

    let stops = Stops { members: 3, api_servers: 3 };
    answering("cert-rotate --all", &through, stops, windlass, || {
        windlass.succeeds(["cert-rotate", "--all"]).map(|_| ())
    })?;
    let all = lab.state()?;
    let certificates: BTreeSet<String> = all
        .files()
        .keys()
        .filter_map(|path| path.rsplit_once('/')?.1.strip_suffix(".pem").map(str::to_owned))
        .collect();
    // CAs, and the key that signs the tokens of service accounts, are no leaves.
    let stay: BTreeSet<String> = certificates.difference(&renewed(&all, &one)).cloned().collect();
    assert_eq!(
        stay.into_iter().collect::<Vec<_>>(),
        [
            "kube-apiserver-requestheader-ca",
            "kube-ca",
            "kube-etcd-ca",
            "kube-service-account-token",
            "kube-service-account-token-key"
        ]
    );
    for component in ["etcd", "kube-apiserver", "kubelet"] {
        assert_one_after_another(&all, component);
    }
    assert_eq!(windlass.planned()?.code, Some(0));
    windlass.kubectl(lab).await_ready_nodes(5, Duration::from_secs(60)).map(|_| ())
}
