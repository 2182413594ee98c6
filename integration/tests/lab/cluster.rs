//! Five bare hosts become a highly available cluster that needs no further change, and is repaired as
//! planned.

pub(crate) mod snapshots;

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, SystemTime};

use windlass_integration::lab::{
    Cluster, Images, Lab, LabError, LabShape, LabState, Node, Windlass, await_that, await_web, start_web,
};

type Outcome = Result<(), LabError>;

const CONTROL: [&str; 7] = [
    "etcd",
    "etcd-rolling-snapshots",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-proxy",
    "kube-scheduler",
    "kubelet",
];
const WORKER: [&str; 3] = ["kube-proxy", "kubelet", "nginx-proxy"];

#[test]
#[ignore = "needs a lab; see integration/lab/test"]
fn five_bare_hosts_become_a_cluster_that_rests_and_is_repaired() -> Outcome {
    let lab = Lab::start(&LabShape::nodes(5))?;
    let windlass = Windlass::new(&lab)?;
    let mut cluster = Cluster::three_control_planes_two_workers(&lab);
    cluster.write(&windlass)?;

    comes_up(&lab, &windlass)?;
    snapshots::come_at_once(&lab)?;
    rests(&lab, &windlass)?;
    snapshots::come_and_go(&lab, &windlass, &mut cluster)?;
    is_repaired(&lab, &windlass)
}

fn comes_up(lab: &Lab, windlass: &Windlass) -> Outcome {
    windlass.succeeds(["up"])?;

    let kubectl = windlass.kubectl(lab);
    assert_eq!(kubectl.ready_nodes()?, ["node-1", "node-2", "node-3", "node-4", "node-5"]);
    let expected: BTreeSet<String> = (1..=3)
        .flat_map(|number| CONTROL.map(|component| format!("node-{number} {component}")))
        .chain((4..=5).flat_map(|number| WORKER.map(|component| format!("node-{number} {component}"))))
        .collect();
    let state = lab.state()?;
    assert_eq!(state.containers().keys().cloned().collect::<BTreeSet<_>>(), expected);
    for (name, container) in state.containers() {
        assert_eq!(
            (container.restart_policy.as_str(), container.state.as_str()),
            ("always", "running"),
            "{name}"
        );
    }
    assert_eq!(secrets_in_sight(lab, &state)?, Vec::<String>::new());

    // A worker's kubelet and kube-proxy reach the API only through its own nginx-proxy.
    for number in [4, 5] {
        for user in ["kube-node", "kube-proxy"] {
            let kubeconfig =
                lab.node(number).read_file(&format!("/etc/kubernetes/ssl/kubecfg-{user}.yaml"))?;
            let server = kubeconfig.lines().find_map(|line| line.trim().strip_prefix("server: "));
            assert_eq!(
                server.map(|server| server.trim_matches('"')),
                Some("https://127.0.0.1:6443"),
                "{user}"
            );
        }
    }

    start_web(lab, &kubectl, Images::FromRegistry)?;
    for node in lab.nodes() {
        await_web(node, lab.nodes().len())?;
    }
    Ok(())
}

/// Where the registry's password or a private key is in something that every user of a node may read.
fn secrets_in_sight(lab: &Lab, state: &LabState) -> Result<Vec<String>, LabError> {
    let password = lab.registry().password()?;
    let is_secret = |text: &str| text.contains(password.trim()) || text.contains("PRIVATE KEY");
    let containers = state.containers().iter().filter(|(_, container)| {
        let labels = container.labels.values();
        container.command.iter().chain(&container.environment).chain(labels).any(|text| is_secret(text))
    });
    // A file that others may read contains certificates and addresses, never a key.
    let open = state.files().iter().filter(|(_, file)| !file.mode.ends_with("00"));
    let mut reported: Vec<String> = containers.map(|(name, _)| name.clone()).collect();
    for (name, _) in open {
        let (node, path) = name.split_once(' ').expect("a node and a path");
        let node = lab.nodes().iter().find(|other| other.name == node).expect("a node of the lab");
        if is_secret(&node.read_file(path)?) {
            reported.push(name.clone());
        }
    }
    Ok(reported)
}

/// When each file of the operator's directory was written.
fn own_files(windlass: &Windlass) -> Vec<(String, SystemTime)> {
    let entries = fs::read_dir(windlass.directory()).expect("the directory is there");
    let mut files: Vec<_> = entries
        .map(|entry| entry.expect("it can be read"))
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
        .map(|entry| {
            let modified =
                entry.metadata().and_then(|metadata| metadata.modified()).expect("files have a time");
            (entry.file_name().to_string_lossy().into_owned(), modified)
        })
        .collect();
    files.sort();
    files
}

fn rests(lab: &Lab, windlass: &Windlass) -> Outcome {
    let (before, own) = (lab.state()?, own_files(windlass));
    assert_eq!(windlass.succeeds(["up"])?, "nothing to do: the cluster is as cluster.yml says\n");
    let planned = windlass.planned()?;
    assert_eq!((planned.code, planned.changes, planned.findings), (Some(0), vec![], vec![]));
    assert_eq!(lab.state()?, before);
    assert_eq!(own_files(windlass), own);
    Ok(())
}

/// A fault on one node, what `plan` must say about it, and what `up` may touch.
struct Breakage<'a> {
    node: &'a Node,
    by: &'a str,
    changes: &'a [&'a str],
    touched: &'a [&'a str],
}

fn is_repaired(lab: &Lab, windlass: &Windlass) -> Outcome {
    let other_flag = "image=$(docker inspect -f '{{.Config.Image}}' kube-scheduler); \
        config=/etc/kubernetes/ssl/kubecfg-kube-scheduler.yaml; docker rm -f kube-scheduler && \
        docker run -d --name kube-scheduler --network host --restart always -v /etc/kubernetes:/etc/kubernetes $image \
        kube-scheduler --authentication-kubeconfig=$config --authorization-kubeconfig=$config --kubeconfig=$config \
        --leader-elect=true --profiling=false --v=4";
    let edited = "echo '# careless' >> /etc/kubernetes/nginx-proxy/nginx.conf";
    let breakages = [
        Breakage {
            node: lab.node(2),
            by: "docker rm -f kube-scheduler",
            changes: &["node-2/kube-scheduler/run: missing"],
            touched: &["node-2 kube-scheduler new"],
        },
        Breakage {
            node: lab.node(5),
            by: "docker stop -t 2 kube-proxy",
            changes: &["node-5/kube-proxy/start: stopped"],
            touched: &["node-5 kube-proxy restarted"],
        },
        Breakage {
            node: lab.node(3),
            by: other_flag,
            changes: &[
                "node-3/kube-scheduler/replace: not created by windlass; --bind-address=127.0.0.1 added; --v 4 → 2",
            ],
            touched: &["node-3 kube-scheduler created"],
        },
        Breakage {
            node: lab.node(1),
            by: "cat /etc/kubernetes/ssl/kube-scheduler.pem > /etc/kubernetes/ssl/kube-proxy.pem",
            changes: &["node-1/files/write: /etc/kubernetes/ssl/kube-proxy.pem differs in content"],
            touched: &["node-1 /etc/kubernetes/ssl/kube-proxy.pem written"],
        },
        Breakage {
            node: lab.node(2),
            by: "rm /etc/kubernetes/audit-policy.yaml",
            changes: &["node-2/files/write: /etc/kubernetes/audit-policy.yaml missing"],
            touched: &["node-2 /etc/kubernetes/audit-policy.yaml new"],
        },
        Breakage {
            node: lab.node(4),
            by: edited,
            changes: &["node-4/nginx-proxy/write: /etc/kubernetes/nginx-proxy/nginx.conf differs in content"],
            touched: &["node-4 /etc/kubernetes/nginx-proxy/nginx.conf written"],
        },
        Breakage {
            node: lab.node(3),
            by: "docker rm etcd",
            changes: &[
                "node-3/etcd/join: the member's data is gone",
                "node-3/etcd/leave: the member's data is gone",
                "node-3/etcd/promote: joined as a learner, becomes a voter when it has caught up",
                "node-3/etcd/run: the member's data is gone",
            ],
            touched: &["node-3 etcd new"],
        },
    ];
    // One after another where one depends on the other, else together.
    let (data, others) = breakages.split_last().expect("there are some");
    are_repaired(lab, windlass, others)?;
    waits_for_its_disk(lab.node(3), windlass)?;
    are_repaired(lab, windlass, std::slice::from_ref(data))?;
    // Workers reach the API through their own proxies again, and the Service answers as before.
    for node in lab.nodes() {
        await_web(node, lab.nodes().len())?;
    }
    windlass.kubectl(lab).await_ready_nodes(5, Duration::from_secs(60)).map(|_| ())
}

/// The data of a member is missing, as after a boot without its disk: etcd does not start, and nothing
/// replaces it before somebody confirms that the data is lost.
fn waits_for_its_disk(node: &Node, windlass: &Windlass) -> Outcome {
    node.root("docker stop -t 5 etcd && mv /var/lib/etcd/member /root/disk")?;
    let refused = node.root("docker start etcd 2>&1 || true")?;
    assert!(refused.contains("/var/lib/etcd/member/windlass"), "{refused}");
    let planned = windlass.planned()?;
    let causes: Vec<&str> = planned.findings.iter().filter_map(|finding| finding["what"].as_str()).collect();
    assert!(
        causes.iter().any(|what| what.contains("the disk with its data seems to be missing")),
        "{causes:?}"
    );
    assert_eq!(planned.changes, Vec::<String>::new());
    // With its disk it works again.
    node.root("mv /root/disk /var/lib/etcd/member")?;
    assert_eq!(windlass.planned()?.changes, ["node-3/etcd/start: stopped"]);
    windlass.succeeds(["up"])?;
    node.root("docker stop -t 5 etcd && rm -rf /var/lib/etcd/member").map(|_| ())
}

/// All of these are planned, and no more; all of them are repaired, and nothing else is touched.
fn are_repaired(lab: &Lab, windlass: &Windlass, breakages: &[Breakage<'_>]) -> Outcome {
    let sorted = |of: fn(&Breakage<'_>) -> Vec<String>| {
        let mut all: Vec<String> = breakages.iter().flat_map(of).collect();
        all.sort();
        all
    };
    let changes = sorted(|breakage| breakage.changes.iter().map(ToString::to_string).collect());
    let touched = sorted(|breakage| breakage.touched.iter().map(ToString::to_string).collect());
    let whole = lab.state()?;
    for Breakage { node, by, .. } in breakages {
        eprintln!("on {}: {by}", node.name);
        node.root(by)?;
    }
    let broken = lab.state()?;
    // Docker restarts what fails, and its state changes each time: the plan becomes stable after a while.
    let planned = || {
        let mut planned = windlass.planned()?;
        planned.changes.sort();
        Ok::<_, LabError>(planned)
    };
    let mut reported = planned()?;
    let _ = await_that("the plan is as expected", Duration::from_secs(30), || {
        reported = planned()?;
        Ok(reported.changes == changes)
    });
    assert_eq!((reported.code, reported.findings), (Some(2), vec![]));
    assert_eq!(reported.changes, changes);
    windlass.succeeds(["up"])?;
    let repaired = lab.state()?;
    assert_eq!(repaired.since(&broken), touched);
    // What was not broken was never touched, and what was is as before.
    let names = |state: &LabState| -> Vec<String> {
        state.containers().keys().chain(state.files().keys()).cloned().collect()
    };
    assert_eq!(names(&repaired), names(&whole));
    let again = windlass.planned()?;
    assert_eq!((again.code, again.changes), (Some(0), vec![]));
    Ok(())
}
