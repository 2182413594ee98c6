//! Plans as text: their meaning, how equal steps fold, the lines below a step, and how wide the lines are.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use windlass_model::{
    Action, Because, Cause, CertDifference, Ciphers, Component, ContainerSpec, Difference, Edge, FilePath,
    Finding, Gate, Guard, NodeName, Note, PidMode, Plan, Planning, Privilege, Reason, SpecPath, Step, StepId,
    Subject, Waiting, WaitsFor, Weight,
};
use windlass_render::{Detail, Page, Paint, PlanView, Sight, Width, plan};

fn node(number: usize) -> NodeName {
    NodeName::from(format!("node-{number}"))
}

fn spec() -> Arc<ContainerSpec> {
    Arc::new(ContainerSpec {
        image: "hyperkube:v1.30.5".into(),
        command: Vec::new(),
        env: BTreeMap::new(),
        binds: Vec::new(),
        pid: PidMode::Own,
        privilege: Privilege::Confined,
        user: None,
        reads: BTreeMap::new(),
        ciphers: Ciphers::default(),
        version: None,
    })
}

fn step(node: &NodeName, subject: &str, action: Action, reason: Reason) -> Step {
    let verb = action.verb();
    Step {
        id: StepId::new(node, subject, verb),
        action,
        reasons: vec![reason],
        origins: vec![SpecPath::from("services.kubelet.extra_args.max-pods")],
    }
}

fn max_pods(from: &str, to: &str) -> Reason {
    let difference =
        Difference::Argument { flag: "--max-pods".into(), from: Some(from.into()), to: Some(to.into()) };
    Reason::Differs { difference }
}

/// Kubelets replaced on `count` nodes, of which `limit` may be unavailable at once.
fn kubelets(count: usize, limit: usize, reason: &Reason) -> Plan {
    let among: Arc<BTreeSet<NodeName>> = Arc::new((1..=count).map(node).collect());
    let mut plan = Plan::default();
    for number in 1..=count {
        let node = node(number);
        let guard = Guard::Window { node: node.clone(), among: among.clone(), new: Arc::default(), limit };
        let replace = Action::ReplaceContainer {
            node: node.clone(),
            component: Component::Kubelet,
            spec: spec(),
            birth: Vec::new(),
            guards: vec![guard],
            forgets: BTreeSet::new(),
        };
        plan.steps.push(step(&node, "kubelet", replace, reason.clone()));
        let wait = Action::AwaitHealthy {
            gate: Gate::NodeReady { node: node.clone(), network: windlass_model::PodNetwork::Required },
            within_seconds: 60,
        };
        plan.steps.push(step(&node, "node", wait, Reason::Disturbed));
        let (replaced, ready) = (plan.steps.len() - 2, plan.steps.len() - 1);
        plan.edges.push(Edge { before: replaced, after: ready, because: Because::Needs });
        if number > limit {
            let before = ready - 2 * limit;
            plan.edges.push(Edge { before, after: replaced, because: Because::Window });
        }
    }
    plan
}

fn text(planning: &Planning, detail: Detail, columns: usize) -> String {
    plan(&PlanView {
        head: "plan",
        cluster: "demo",
        planning,
        sight: Sight { reachable: 3, unreachable: 1 },
        detail,
        goal: "the cluster is as cluster.yml says",
        page: Page {
            places: &|_| Some((11, 7)),
            file: "cluster.yml",
            width: Width::columns(columns),
            paint: Paint::Plain,
        },
    })
}

fn of(plan: Plan, findings: Vec<Finding>) -> Planning {
    Planning { plan, findings }
}

#[test]
fn equal_steps_are_one_line_with_their_order_below() {
    let planning = of(kubelets(3, 1, &max_pods("110", "250")), vec![]);
    assert_eq!(
        text(&planning, Detail::Folded, 100),
        "\
plan for cluster \"demo\": 3 nodes reachable, 1 unreachable

  Replaced: kubelet on node-1…node-3 (one at a time).

  ~ kubelet on node-1…node-3  replace  --max-pods 110 → 250
      one at a time: node-1, then node-2, then node-3
      cluster.yml:11 services.kubelet.extra_args.max-pods

3 steps on 3 nodes, 3 waits
"
    );
}

#[test]
fn several_nodes_at_once_have_a_limit_and_no_order() {
    let planning = of(kubelets(9, 3, &max_pods("110", "250")), vec![]);
    let text = text(&planning, Detail::Brief, 100);
    assert_eq!(
        text,
        "\
plan for cluster \"demo\": 3 nodes reachable, 1 unreachable

  Replaced: kubelet on node-1…node-9 (at most 3 at once).

  ~ kubelet on node-1…node-9  replace  --max-pods 110 → 250
      at most 3 at once

9 steps on 9 nodes, 9 waits
"
    );
}

#[test]
fn everything_is_every_step_with_waits_and_guards() {
    let planning = of(kubelets(2, 1, &max_pods("110", "250")), vec![]);
    assert_eq!(
        text(&planning, Detail::Everything, 100),
        "\
plan for cluster \"demo\": 3 nodes reachable, 1 unreachable

  Replaced: kubelet on node-1, node-2 (one at a time).

  ~ node-1/kubelet  replace  --max-pods 110 → 250
      only if no other of 2 workers is unavailable at that moment
      cluster.yml:11 services.kubelet.extra_args.max-pods
  . node-1/node     await    must be healthy before the plan continues
      after kubelet is replaced
      cluster.yml:11 services.kubelet.extra_args.max-pods
  ~ node-2/kubelet  replace  --max-pods 110 → 250
      only if no other of 2 workers is unavailable at that moment
      after node-1/node is ready (limit of unavailable nodes)
      cluster.yml:11 services.kubelet.extra_args.max-pods
  . node-2/node     await    must be healthy before the plan continues
      after kubelet is replaced
      cluster.yml:11 services.kubelet.extra_args.max-pods

2 steps on 2 nodes, 2 waits
"
    );
}

#[test]
fn the_meaning_names_what_is_deleted_and_moved_aside_and_who_leaves() {
    let (first, second) = (node(1), node(2));
    let path = FilePath::from("/var/lib/etcd");
    let aside = Action::MoveAside {
        node: first.clone(),
        path: path.clone(),
        to: "/var/lib/etcd-old".into(),
        guards: vec![],
    };
    let remove = |node: &NodeName, name: &str| Action::RemoveContainer {
        node: node.clone(),
        container: name.into(),
        guards: vec![],
    };
    let member = Action::EtcdMemberRemove {
        id: windlass_model::MemberId(7),
        peer_url: "https://10.0.0.2:2380".to_owned(),
        via: vec![],
        guards: vec![],
    };
    let steps = vec![
        step(&NodeName::from("cluster"), "etcd-7", member, Reason::NodeLeft),
        step(&first, "etcd-data", aside, Reason::DataOfFormerMember),
        step(&second, "kubelet", remove(&second, "kubelet"), Reason::NodeLeft),
        step(&second, "node", Action::DeleteNodeObject { node: second.clone() }, Reason::NodeLeft),
        step(
            &second,
            "pods",
            Action::RemovePods { node: second.clone(), kubelet: "/var/lib/kubelet".into(), keep: None },
            Reason::NodeLeft,
        ),
    ];
    let text = text(&of(Plan { steps, edges: vec![] }, vec![]), Detail::Folded, 100);
    let meaning: Vec<&str> = text.lines().skip(2).take_while(|line| !line.is_empty()).collect();
    assert_eq!(
        meaning,
        [
            "  Nodes that leave: node-2. Deleted: the etcd member at https://10.0.0.2:2380; the container kubelet",
            "  on node-2; all pods on node-2; node objects of node-2. Moved aside: /var/lib/etcd on node-1.",
        ]
    );
}

#[test]
fn a_plan_that_disturbs_nothing_says_so() {
    let node = node(1);
    let uncordon = step(&node, "node", Action::Uncordon { node: node.clone() }, Reason::LeftCordoned);
    let text = text(&of(Plan { steps: vec![uncordon], edges: vec![] }, vec![]), Detail::Folded, 100);
    assert_eq!(
        text.lines().nth(2),
        Some("  No running container is replaced or restarted, nothing is drained or deleted.")
    );
}

#[test]
fn nothing_to_do_is_one_line() {
    let text = text(&of(Plan::default(), vec![]), Detail::Folded, 100);
    assert_eq!(text, "nothing to do: the cluster is as cluster.yml says\n");
}

#[test]
fn equal_findings_are_one_under_the_head_of_their_weight() {
    let waiting = |number, weight| Finding {
        weight,
        about: Subject::ControlPlane(node(number)),
        cause: Cause::from(Waiting::ControlPlaneUnchanged { waits_for: WaitsFor::ControlPlanesReachable }),
        origin: Some(SpecPath::from("kubernetes_version")),
    };
    let kept = Note::FormerDataKept { path: "/var/lib/etcd-old".into() };
    let findings = vec![
        waiting(1, Weight::Held),
        waiting(2, Weight::Held),
        waiting(3, Weight::Next),
        Finding {
            weight: Weight::Notice,
            about: Subject::EtcdData(node(1)),
            cause: Cause::from(kept),
            origin: None,
        },
    ];
    assert_eq!(
        text(&of(Plan::default(), findings), Detail::Folded, 80),
        "\
plan for cluster \"demo\": 3 nodes reachable, 1 unreachable

held: waits for a person or for the hosts
  · control-plane on node-1, node-2: the control plane of this node is not
    changed yet
    --> cluster.yml:11:7 kubernetes_version
    = every control-plane node must be reachable; if one is gone, remove it from
      cluster.yml

next: this same `up` does it in a later round
  · node-3/control-plane: the control plane of this node is not changed yet
    --> cluster.yml:11:7 kubernetes_version
    = every control-plane node must be reachable first

notice
  · node-1/etcd-data: the data of the former member is kept in /var/lib/etcd-old
    = delete it when nobody needs it any more

nothing to do now: 2 nodes held
"
    );
}

#[test]
fn no_line_is_wider_than_asked_for_whatever_is_in_it() {
    let servers = |count: usize| -> String {
        (1..=count).map(|number| format!("https://10.0.0.{number}:2379")).collect::<Vec<_>>().join(",")
    };
    let reasons = [
        max_pods("110", "250"),
        max_pods(&servers(3), &servers(40)),
        Reason::CertDiffers {
            difference: CertDifference::Subject { from: "word ".repeat(90), to: String::new() },
        },
        Reason::MemberLearns,
    ];
    for (reason, count, limit) in reasons.iter().flat_map(|reason| [(reason, 1, 1), (reason, 40, 3)]) {
        let mut plan = kubelets(count, limit, reason);
        for step in &mut plan.steps {
            let subject = format!("registry.example.org/{}:v1", "team/".repeat(count));
            step.id = StepId::new(step.id.place(), subject, step.action.verb());
        }
        let unreachable = Waiting::NodeUnreachableForRemoval { error: servers(9) };
        let findings = (1..=count).map(|number| Finding {
            weight: Weight::Held,
            about: Subject::Node(node(number * 2)),
            cause: Cause::from(unreachable.clone()),
            origin: Some(SpecPath::from(servers(5).as_str())),
        });
        let planning = of(plan, findings.collect());
        for columns in [60, 61, 79, 80, 100, 133] {
            for detail in [Detail::Counts, Detail::Brief, Detail::Folded, Detail::Everything] {
                let text = text(&planning, detail, columns);
                let widest = text.lines().max_by_key(|line| line.chars().count()).unwrap_or_default();
                assert!(widest.chars().count() <= columns, "{columns}, {detail:?}: {widest}");
            }
        }
    }
}
