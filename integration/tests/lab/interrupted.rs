//! `up` is killed at any moment, a host is unreachable, the cluster is removed: nothing is lost and nothing
//! stays behind.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use windlass_integration::lab::{
    Cluster, Images, Killed, Kills, Lab, LabError, LabShape, Run, Windlass, await_that, await_web, start_web,
};

type Outcome = Result<(), LabError>;

/// How often `up` is killed on bare hosts, and then on a live cluster.
const KILLS: [u64; 2] = [8, 12];
/// How many seconds a run has at most. The next one continues where it was killed, so that all of the work is
/// reached.
const LATEST: f64 = 12.0;
/// After how many kills on a live cluster there is something new to do.
const NEWS: u64 = 4;

#[test]
#[ignore = "needs a lab; see integration/lab/test"]
fn up_may_be_killed_and_a_host_may_be_away() -> Outcome {
    let lab = Lab::start(&LabShape::nodes(5))?;
    let windlass = Windlass::new(&lab)?;
    let mut cluster = Cluster::three_control_planes_two_workers(&lab);
    cluster.write(&windlass)?;
    is_killed_and_ends_whole(&lab, &windlass, &mut cluster)?;
    keeps_other_operators_away(&lab, &windlass, &mut cluster)?;
    goes_on_without_a_host(&lab, &windlass, &mut cluster)
}

#[test]
#[ignore = "needs a lab; see integration/lab/test"]
fn remove_leaves_nothing_and_a_new_up_works() -> Outcome {
    let lab = Lab::start(&LabShape::nodes(5).with_images_loaded())?;
    let windlass = Windlass::new(&lab)?;
    Cluster::three_control_planes_two_workers(&lab).write(&windlass)?;
    let bare: Vec<Traces> = lab.nodes().iter().map(Traces::of).collect::<Result<_, _>>()?;
    windlass.succeeds(["up"])?;
    start_web(&lab, &windlass.kubectl(&lab), Images::FromRegistry)?;
    await_web(lab.node(4), 5)?;
    is_removed(&lab, &windlass, &bare)
}

fn is_killed_and_ends_whole(lab: &Lab, windlass: &Windlass, cluster: &mut Cluster) -> Outcome {
    let mut moments = Kills::seeded();
    for _ in 1..=KILLS[0] {
        moments.kill(windlass, &["up"], LATEST)?;
    }
    windlass.succeeds(["up"])?;
    let expected: BTreeSet<String> = lab.state()?.containers().keys().cloned().collect();
    start_web(lab, &windlass.kubectl(lab), Images::FromRegistry)?;

    let (mut round, mut kills) = (KILLS[0], 0);
    let mut is_done = true;
    while kills < KILLS[1] {
        round += 1;
        if is_done || kills % NEWS == 0 {
            has_news(windlass, cluster, round)?;
        }
        is_done = moments.kill(windlass, &["up"], LATEST)? == Killed::TooLate;
        kills += u64::from(!is_done);
        keep(lab, windlass, round)?;
    }
    let began = Instant::now();
    windlass.succeeds(["up"])?;
    eprintln!("whole after {:.1?} more", began.elapsed());

    assert_eq!(windlass.succeeds(["up"])?, "nothing to do: the cluster is as cluster.yml says\n");
    let kept = windlass.kubectl(lab).run(["get", "configmaps", "--output", "name", "--selector", "kept"])?;
    let written: BTreeSet<String> =
        (KILLS[0] + 1..=round).map(|round| format!("configmap/round-{round}")).collect();
    assert_eq!(kept.lines().map(str::to_owned).collect::<BTreeSet<_>>(), written);
    windlass.kubectl(lab).await_ready_nodes(5, Duration::from_secs(60))?;
    for node in lab.nodes() {
        await_web(node, 5)?;
    }
    let state = lab.state()?;
    assert_eq!(state.containers().keys().cloned().collect::<BTreeSet<_>>(), expected, "no stray container");
    let unfinished: Vec<_> = state.files().keys().filter(|path| path.ends_with(".windlass-new")).collect();
    assert_eq!(unfinished, Vec::<&String>::new());
    leaves_nothing_with_the_operator(windlass)
}

/// A change for every component, so that whatever is interrupted has begun.
fn has_news(windlass: &Windlass, cluster: &mut Cluster, round: u64) -> Outcome {
    for (service, argument, value) in [
        ("kube-api", "event-ttl", format!("{round}h")),
        ("etcd", "max-snapshots", format!("{round}")),
        ("kubelet", "max-pods", format!("{}", 100 + round)),
        ("scheduler", "v", format!("{}", round % 3)),
    ] {
        cluster.set(&format!("services.{service}.extra_args.{argument}"), value);
    }
    cluster.set("authentication.sans", vec![format!("round-{round}.example.org")]).write(windlass)
}

/// Writes an object into the cluster, through any API server that answers.
fn keep(lab: &Lab, windlass: &Windlass, round: u64) -> Outcome {
    let name = format!("round-{round}");
    let manifest =
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, labels: {{kept: 'yes'}}}}\n");
    await_that(&format!("{name} is written"), Duration::from_secs(60), || {
        let by = |number| windlass.kubectl(lab).in_context(&format!("lab-node-{number}")).apply(&manifest);
        by(1).or_else(|_| by(2)).or_else(|_| by(3)).map(|_| true)
    })
    .map(|_| ())
}

/// No process and no file of its runs is left on the operator's machine; the ssh of a killed run exits by
/// itself a quarter of a minute after the last command that it carried, which may have to end first.
fn leaves_nothing_with_the_operator(windlass: &Windlass) -> Outcome {
    let directory = windlass.directory().to_string_lossy().into_owned();
    let left = || Run::new("pgrep", ["-af", "--", &directory]).ran();
    await_that("no process is left", Duration::from_secs(90), || Ok(left()?.code == Some(1)))
        .inspect_err(|_| eprintln!("{left:?}", left = left().map(|ran| ran.stdout)))?;
    assert_eq!(names_in(&windlass.temporary()), Vec::<String>::new());
    Ok(())
}

fn names_in(directory: &std::path::Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("the directory is there");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("it can be read").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// Two operators, each with a directory of their own, as on two machines.
fn keeps_other_operators_away(lab: &Lab, windlass: &Windlass, cluster: &mut Cluster) -> Outcome {
    let other = Windlass::new(lab)?;
    let has_news = |round: u64, cluster: &mut Cluster| -> Outcome {
        has_news(windlass, cluster, round)?;
        cluster.write(&other)
    };
    let leased = |number: usize| {
        await_that("a lease is taken", Duration::from_secs(60), || {
            let containers = lab.node(number).docker(["ps", "--format", "{{.Names}}"])?;
            Ok(containers.lines().any(|name| name == "windlass-operator"))
        })
    };
    has_news(1, cluster)?;
    let mut first = windlass.spawn(["up"])?;
    (1..=3).try_for_each(|number| leased(number).map(|_| ()))?;
    let refused = other.run(["up"])?;
    assert!(
        refused.stderr.contains("another windlass works on this cluster: up, process "),
        "{}",
        refused.stderr
    );
    assert!(refused.stderr.contains("docker rm -f windlass-operator"), "{}", refused.stderr);
    assert_eq!(refused.code, Some(1));
    assert!(!other.run(["plan"])?.stderr.contains("another windlass"), "plan needs no lease");
    assert!(first.wait().is_ok_and(|status| status.success()));
    assert_eq!(other.succeeds(["up"])?, "nothing to do: the cluster is as cluster.yml says\n");

    // A run that is killed keeps nobody away.
    has_news(2, cluster)?;
    let mut first = windlass.spawn(["up"])?;
    leased(1)?;
    first.kill().and_then(|()| first.wait()).expect("it runs");
    other.succeeds(["up"])?;

    // A run whose leases are ended by hand ends after its running steps, and the next one goes on.
    has_news(3, cluster)?;
    let first = windlass.to(["up"]).within(Duration::from_secs(300));
    let ended = std::thread::scope(|scope| {
        let running = scope.spawn(|| first.ran());
        for number in 1..=3 {
            leased(number)?;
            lab.node(number).docker(["rm", "-f", "windlass-operator"])?;
        }
        running.join().expect("it does not panic")
    })?;
    assert!(ended.stderr.contains("this run lost its leases"), "{}", ended.stderr);
    assert_ne!(ended.code, Some(0));
    other.succeeds(["up"])?;
    assert_eq!(windlass.succeeds(["up"])?, "nothing to do: the cluster is as cluster.yml says\n");
    leaves_nothing_with_the_operator(&other)
}

fn goes_on_without_a_host(lab: &Lab, windlass: &Windlass, cluster: &mut Cluster) -> Outcome {
    // By default one worker may be unavailable: an unreachable one then makes the others wait.
    cluster.set("upgrade_strategy.max_unavailable_worker", "2");
    cluster.set("services.kubeproxy.extra_args.v", "4").write(windlass)?;
    let before = lab.state()?;
    let away = lab.node(5);
    away.power_off()?;
    let ran = windlass.run(["up"])?;
    eprintln!("without node-5: {:.1?}\n{}", ran.took, ran.stdout);
    assert_eq!(ran.code, Some(3), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("node-5"), "{}", ran.stdout);

    away.power_on()?;
    away.await_answering()?;
    let changed = |expected: &[usize]| -> Outcome {
        let state = lab.state()?;
        let all = state.since(&before);
        let created: Vec<_> = all.iter().filter(|change| change.ends_with("kube-proxy created")).collect();
        let expected: Vec<_> =
            expected.iter().map(|number| format!("node-{number} kube-proxy created")).collect();
        assert_eq!(created, expected.iter().collect::<Vec<_>>());
        Ok(())
    };
    changed(&[1, 2, 3, 4])?;
    windlass.succeeds(["up"])?;
    changed(&[1, 2, 3, 4, 5])?;
    assert_eq!(windlass.planned()?.code, Some(0));
    Ok(())
}

/// What a removed cluster leaves on a host, if anything.
#[derive(Debug, PartialEq, Eq)]
struct Traces {
    containers: Vec<String>,
    files: Vec<String>,
    mounts: Vec<String>,
    interfaces: Vec<String>,
    rules: Vec<String>,
    images: Vec<String>,
}

impl Traces {
    fn of(node: &windlass_integration::lab::Node) -> Result<Self, LabError> {
        let lines = |command: &str| -> Result<Vec<String>, LabError> {
            Ok(node.root(command)?.lines().map(str::to_owned).collect())
        };
        Ok(Self {
            containers: node.containers()?.into_keys().collect(),
            // A mount point where a cluster keeps its data is the host's own, and empty.
            files: lines(
                "find /etc/kubernetes /etc/sysctl.d /etc/modules-load.d /var/lib/etcd* /var/lib/kubelet /var/lib/cni /var/log/pods /var/log/containers \
                 /var/log/kube-audit /etc/cni /opt/cni /opt/rke -mindepth 1 2>/dev/null \
                 | grep -v '^/opt/rke/etcd-snapshots' | sort",
            )?,
            mounts: lines(
                "cut -d' ' -f2 /proc/mounts | grep -E 'kubelet/|/etcd/|netns/' | grep -v docker/netns/default | sort || true",
            )?,
            interfaces: lines("ls /sys/class/net | sort")?,
            rules: lines("iptables-save | grep -E 'KUBE-|CNI-' || true")?,
            images: lines("docker images --format '{{.Repository}}' | grep windlass || true")?,
        })
    }
}

fn is_removed(lab: &Lab, windlass: &Windlass, bare: &[Traces]) -> Outcome {
    let snapshots = "ls /opt/rke/etcd-snapshots/*.db | wc -l";
    let taken = lab.node(1).root(snapshots)?;
    assert_ne!(taken.trim(), "0");
    let began = Instant::now();
    windlass.succeeds(["remove", "--force"])?;
    eprintln!("removed after {:.1?}", began.elapsed());

    for (node, bare) in lab.nodes().iter().zip(bare) {
        assert_eq!(Traces::of(node)?, *bare, "{}", node.name);
    }
    assert_eq!(lab.node(1).root(snapshots)?, taken, "snapshots stay");
    // The recovery key opens what snapshots keep of the ledger.
    let kept = ["cluster.windlass-recovery.key", "cluster.yml", "known_hosts", "tmp"];
    assert_eq!(names_in(windlass.directory()), kept);
    leaves_nothing_with_the_operator(windlass)?;

    let again = windlass.succeeds(["remove", "--force"])?;
    assert_eq!(again.lines().last(), Some("nothing to do: nothing of the cluster is left on its nodes"));

    windlass.succeeds(["up"])?;
    start_web(lab, &windlass.kubectl(lab), Images::FromRegistry)?;
    await_web(lab.node(4), 5)?;
    windlass.succeeds(["remove", "--force", "--delete-snapshots"])?;
    for node in lab.nodes() {
        assert!(!node.has_path("/opt/rke/etcd-snapshots")?, "{}", node.name);
    }
    Ok(())
}
