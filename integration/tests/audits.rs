//! The audits of plans that reissue certificates or remove a cluster: a sound plan passes, and each rule
//! refuses the plan that breaks only this rule.
//!
//! A rule that is removed from the audit lets its plan pass, and its test fails.

use std::collections::BTreeSet;
use std::sync::Arc;

use windlass_blueprint::Catalog;
use windlass_course::{Course, Goal};
use windlass_integration::draft::Draft;
use windlass_integration::drive::{Driver, desired_of};
use windlass_model::{
    Action, AddonKind, CertSelector, Component, ContainerSpec, Content, DesiredKernel, DrainOptions,
    FilePath, Gate, Intent, Inventory, LedgerChange, MemberId, NodeName, ObjectChange, Planning, Reissue,
    RestartWhen, Snapshots,
};
use windlass_planner::audit;
use windlass_simulator::{Fault, FaultSchedule, Mischief, SimFleet, World};

/// A sound plan, with its input.
struct Sound {
    intent: Intent,
    seen: Inventory,
    planning: Planning,
}

impl Sound {
    /// The plan for this goal of a cluster that is as desired, with a node for each role and etcd's snapshots.
    fn plan_for(goal: &Goal, meddle: impl FnOnce(&mut World)) -> Self {
        let draft = Draft { snapshots: true, ..Draft::sized(1, 1) };
        let desired = desired_of(&draft, Catalog::builtin()).expect("a sized draft is sound");
        let driver = Driver::new(SimFleet::new(World::bare(2)));
        assert!(driver.run(&desired, &Goal::Converge, FaultSchedule::default()).is_converged());
        driver.fleet.with(meddle);
        let (seen, planning) = driver.look_and_plan(&desired, goal).expect("all are reachable");
        let intent = Course::new(&desired, goal.clone()).intent_for(&seen);
        let sound = Self { intent, seen, planning };
        assert_eq!(sound.faults(|_| ()), Vec::<String>::new(), "the plan is sound before it is changed");
        sound
    }

    fn reissue() -> Self {
        let reissue = Reissue { which: CertSelector::All, ..Reissue::default() };
        Self::plan_for(&Goal::Reissue(reissue), |_| ())
    }

    fn dismantle(snapshots: Snapshots) -> Self {
        Self::plan_for(&Goal::Dismantle(snapshots), |_| ())
    }

    /// The faults that the audit finds in the plan after this change.
    fn faults(&self, change: impl FnOnce(&mut Planning)) -> Vec<String> {
        let mut planning = self.planning.clone();
        change(&mut planning);
        audit(&self.intent, &self.seen, &planning).into_iter().map(|fault| fault.0).collect()
    }

    /// The faults that it finds after the action of one step was changed.
    fn faults_of(&self, id: &str, change: impl FnOnce(&mut Action)) -> Vec<String> {
        self.faults(|planning| change(action(planning, id)))
    }
}

fn action<'p>(planning: &'p mut Planning, id: &str) -> &'p mut Action {
    let steps = &mut planning.plan.steps;
    let known: Vec<String> = steps.iter().map(|step| step.id.to_string()).collect();
    let step = steps.iter_mut().find(|step| step.id.as_str() == id);
    &mut step.unwrap_or_else(|| panic!("no step {id} in {known:#?}")).action
}

/// The fault of a step that does not belong in a plan that reissues certificates.
fn does_more(id: &str) -> String {
    format!("{id}: this run reissues certificates and does nothing else")
}

#[test]
fn a_reissue_mints_no_certificate_that_the_ledger_does_not_have() {
    let faults = Sound::reissue().faults_of("cluster/certificates/mint", |action| {
        let Action::MintCerts { certs } = action else { unreachable!("it mints") };
        let (_, cert) = certs.first_key_value().expect("it mints some");
        let cert = cert.clone();
        certs.insert("kube-new".into(), cert);
    });
    assert_eq!(faults, [does_more("cluster/certificates/mint")]);
}

#[test]
fn a_reissue_changes_nothing_else_in_the_ledger() {
    let faults = Sound::reissue().faults_of("cluster/ledger/commit", |action| {
        *action =
            Action::CommitLedger { change: Box::new(LedgerChange { born: true, ..LedgerChange::default() }) };
    });
    assert_eq!(faults, [does_more("cluster/ledger/commit")]);
}

#[test]
fn a_reissue_writes_no_other_files() {
    let faults = Sound::reissue().faults_of("node-2/files/write", |action| {
        let Action::WriteFiles { files, .. } = action else { unreachable!("it writes") };
        let file = files.values_mut().next().expect("it writes some");
        file.content = Content::Text("kind: Config".into());
    });
    assert_eq!(faults, [does_more("node-2/files/write")]);
}

#[test]
fn a_reissue_replaces_containers_by_the_like_only() {
    let faults = Sound::reissue().faults_of("node-2/kubelet/replace", |action| {
        let Action::ReplaceContainer { spec, .. } = action else { unreachable!("it replaces") };
        let mut other = ContainerSpec::clone(spec);
        other.command.push("--max-pods=150".into());
        *spec = Arc::new(other);
    });
    assert_eq!(faults, [does_more("node-2/kubelet/replace")]);
}

#[test]
fn a_reissue_restarts_only_what_is_sick() {
    let restart = |when| {
        let sound = Sound::plan_for(
            &Goal::Reissue(Reissue { which: CertSelector::None, ..Reissue::default() }),
            |world| {
                let paused = Fault::ByHand(Mischief::ContainerPaused {
                    node: "node-2".into(),
                    container: "kube-proxy".into(),
                });
                world.strike(&paused);
                world.wait(60);
            },
        );
        sound.faults_of("node-2/kube-proxy/restart", |action| {
            let Action::RestartContainer { when: on, .. } = action else { unreachable!("it restarts") };
            *on = when;
        })
    };
    assert_eq!(restart(RestartWhen::StillSick), Vec::<String>::new());
    assert_eq!(restart(RestartWhen::Always), [does_more("node-2/kube-proxy/restart")]);
}

/// Every action that creates, changes or removes a cluster, except those that a reissue needs.
fn actions_beside_a_reissue() -> Vec<Action> {
    let node = || NodeName::from("node-2");
    let via = || vec![NodeName::from("node-1")];
    let peer_url = || "https://10.0.0.1:2380".to_owned();
    let path = || FilePath::from("/etc/kubernetes/ssl");
    let options = DrainOptions {
        force: false,
        ignore_daemonsets: true,
        delete_local_data: false,
        grace_period_seconds: None,
        timeout_seconds: 60,
    };
    vec![
        Action::ForgetLedger,
        Action::KeepRoots,
        Action::DropRoots,
        Action::RewriteSecrets { by: windlass_model::Cipher::own() },
        Action::PullImage { node: node(), image: "lab/hyperkube:v1.21.2".into() },
        Action::SetKernel { node: node(), kernel: DesiredKernel::default() },
        Action::RemovePaths { node: node(), paths: [path()].into() },
        Action::MoveAside {
            node: node(),
            path: path(),
            to: "/etc/kubernetes/ssl-before".into(),
            guards: vec![],
        },
        Action::RemovePods { node: node(), kubelet: "/var/lib/kubelet".into(), keep: None },
        Action::EtcdMemberAdd { node: node(), peer_url: peer_url(), via: via() },
        Action::EtcdMemberPromote { node: node(), peer_url: peer_url(), via: via(), within_seconds: 60 },
        Action::EtcdMemberRemove { id: MemberId(7), peer_url: peer_url(), via: via(), guards: vec![] },
        Action::Cordon { node: node(), guards: vec![] },
        Action::Drain { node: node(), options },
        Action::Uncordon { node: node() },
        Action::LabelNode { node: node(), change: ObjectChange::default() },
        Action::DeleteNodeObject { node: node() },
        Action::ApplyObjects { addon: AddonKind::Dns, objects: vec![] },
        Action::DeleteObjects { objects: vec![] },
    ]
}

#[test]
fn a_reissue_has_no_step_of_another_kind() {
    let sound = Sound::reissue();
    let kubelet_runs = |sound: &Sound| {
        sound.faults(|planning| {
            let replaces = action(planning, "node-2/kubelet/replace").clone();
            let Action::ReplaceContainer { node, component, spec, birth, .. } = replaces else {
                unreachable!("it replaces")
            };
            *action(planning, "node-2/kubelet/replace") =
                Action::RunContainer { node, component, spec, birth, forgets: BTreeSet::new() };
        })
    };
    assert!(kubelet_runs(&sound).contains(&does_more("node-2/kubelet/replace")));
    for other in actions_beside_a_reissue() {
        let faults = sound.faults_of("node-2/kubelet/await", |action| *action = other.clone());
        assert!(faults.contains(&does_more("node-2/kubelet/await")), "{other:?}: {faults:?}");
    }
}

#[test]
fn a_reissue_leaves_no_container_with_its_old_certificate() {
    let faults = Sound::reissue().faults_of("node-2/kubelet/replace", |action| {
        let gate = Gate::Container { node: "node-2".into(), component: Component::Kubelet };
        *action = Action::AwaitHealthy { gate, within_seconds: 60 };
    });
    assert_eq!(faults, ["node-2/kubelet keeps a certificate that is reissued, and no finding says so"]);
}

#[test]
fn a_reissue_says_which_container_keeps_its_old_certificate() {
    let reissue = Reissue { which: CertSelector::All, ..Reissue::default() };
    let sound = Sound::plan_for(&Goal::Reissue(reissue), |world| {
        let by_hand = Mischief::ContainerRecreated { node: "node-2".into(), container: "kubelet".into() };
        world.strike(&Fault::ByHand(by_hand));
        world.wait(60);
    });
    let faults = sound.faults(|planning| planning.findings.clear());
    assert_eq!(faults, ["node-2/kubelet keeps a certificate that is reissued, and no finding says so"]);
}

#[test]
fn a_removal_makes_and_changes_nothing() {
    let sound = Sound::dismantle(Snapshots::Keep);
    let spec =
        sound.seen.nodes[&NodeName::from("node-2")].facts().expect("it is reachable").containers["kubelet"]
            .spec
            .clone();
    let (node, component) = (|| NodeName::from("node-2"), Component::Kubelet);
    let made = [
        Action::RunContainer {
            node: node(),
            component,
            spec: spec.clone(),
            birth: vec![],
            forgets: BTreeSet::new(),
        },
        Action::ReplaceContainer {
            node: node(),
            component,
            spec,
            birth: vec![],
            guards: vec![],
            forgets: BTreeSet::new(),
        },
        Action::StartContainer { node: node(), component },
        Action::RestartContainer { node: node(), component, when: RestartWhen::Always, guards: vec![] },
        Action::ReloadContainer { node: node(), component },
        Action::WriteFiles { node: node(), files: [].into() },
        Action::MintCerts { certs: [].into() },
        Action::AwaitHealthy {
            gate: Gate::NodeReady { node: node(), network: windlass_model::PodNetwork::Required },
            within_seconds: 60,
        },
    ];
    let has_its_place = |action: &Action| matches!(action, Action::ForgetLedger | Action::RemovePods { .. });
    let of_a_removal = |action: &Action| matches!(action, Action::RemovePaths { .. });
    for other in made.into_iter().chain(actions_beside_a_reissue()) {
        let faults = sound.faults_of("node-2/pods/remove", |action| *action = other.clone());
        let expected = "node-2/pods/remove: the cluster is to be removed".to_owned();
        let is_wrong = !has_its_place(&other) && !of_a_removal(&other);
        assert_eq!(faults.contains(&expected), is_wrong, "{other:?}: {faults:?}");
    }
}

#[test]
fn a_removal_leaves_no_container_behind() {
    let faults = Sound::dismantle(Snapshots::Keep).faults_of("node-2/kubelet/remove", |action| {
        *action =
            Action::RemovePods { node: "node-2".into(), kubelet: "/var/lib/kubelet".into(), keep: None };
    });
    assert_eq!(faults, ["node-2/kubelet is not removed, and no finding says so"]);
}

#[test]
fn a_removal_keeps_the_snapshots_that_are_to_stay() {
    let deletes = |snapshots| {
        let sound = Sound::dismantle(snapshots);
        let footprints = &sound.intent.desired().footprints;
        let is_snapshots = |holds: &windlass_model::Holds| *holds == windlass_model::Holds::Snapshots;
        let directories = &footprints.ordinary.directories;
        let (path, _) = directories.iter().find(|(_, holds)| is_snapshots(holds)).expect("there is a place");
        let faults = sound.faults_of("node-1/files/remove", |action| {
            let Action::RemovePaths { paths, .. } = action else { unreachable!("it removes paths") };
            paths.insert(path.clone());
        });
        (faults, format!("node-1/files/remove: deletes the snapshots in {path}"))
    };
    let (faults, expected) = deletes(Snapshots::Keep);
    assert_eq!(faults, [expected]);
    let (faults, _) = deletes(Snapshots::Delete);
    assert_eq!(faults, Vec::<String>::new());
}

#[test]
fn a_removal_deletes_the_ledger_last() {
    let sound = Sound::dismantle(Snapshots::Keep);
    let forget = |planning: &Planning| {
        let steps = &planning.plan.steps;
        steps.iter().position(|step| step.action == Action::ForgetLedger).expect("nothing is left")
    };
    let faults = sound.faults(|planning| {
        let forget = forget(planning);
        planning.plan.edges.retain(|edge| edge.after != forget);
    });
    assert_eq!(faults, ["cluster/ledger/forget: the ledger goes before something that needs it"]);
}
