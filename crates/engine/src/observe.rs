//! Looks at the world once: the ledger, every node, etcd and Kubernetes.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt};
use tokio::time::{Instant, sleep, timeout};
use windlass_model::{
    Component, ContainerName, ContainerSeen, ContainerState, Digest, EtcdSeen, FilePath, Health, Inventory,
    KeptRoots, KubeSeen, LastNode, Ledger, LedgerFace, Lineage, NodeFacts, NodeName, NodeSeen, ObjectsSeen,
    Role, Unasked,
};

use crate::credible;
use crate::events::{Event, Listener};
use crate::ledger_file::{decode, digest_of_copies, kept};
use crate::ports::{
    Assignment, Clock, Fleet, LedgerStore, LookScope, Minter, PortError, PortResult, Ports, Traces,
};
use crate::stored::face_of;

/// How many nodes are looked at at once: each look is a connection of its own at first.
const LOOKS_AT_ONCE: usize = 64;
/// How long a look may take; a node that takes longer is out of sight.
const LOOK_WITHIN: Duration = Duration::from_secs(60);
/// How long a first look waits for components that run and say that they do not work, or take a question and do not
/// answer it: it may be a moment, such as an election of etcd.
pub(crate) const FIRST_PATIENCE: Duration = Duration::from_secs(10);
/// How long a look after steps of this run waits for components that do not answer: an API server whose etcd was just
/// replaced is busy with its connections.
pub(crate) const PATIENCE_AFTER_STEPS: Duration = Duration::from_secs(60);
/// How long Kubernetes may take to answer where no API server works by then: one that answers nevertheless does so at
/// once, and those that miss etcd leave every question open, each for a quarter of a minute.
const ILL_KUBE_WITHIN: Duration = Duration::from_secs(5);
/// How long to wait before they are asked again.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(2);
/// How long to wait before the one further try after a passing error.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What becomes of a ledger that is brought back from a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recover {
    /// It is used, and nothing is written: `plan` changes nothing.
    InMemory,
    /// It is used, and written to the operator's disk.
    AndKeep,
}

impl Recover {
    /// What a look of such a run may leave on nodes.
    fn traces(self) -> Traces {
        match self {
            Self::InMemory => Traces::None,
            Self::AndKeep => Traces::OwnProgram,
        }
    }
}

/// What one look gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// Everything that may be known by everybody.
    pub inventory: Inventory,
    /// The ledger itself, with its keys; none if the cluster has none yet.
    pub ledger: Option<Ledger>,
}

/// Looks at everything once. Changes nothing but, with [`Recover::AndKeep`], the operator's ledger, and leaves
/// [`Traces::OwnProgram`] on nodes.
///
/// *Guarantees*: a node that does not answer is an entry of the inventory. A ledger that is there and cannot
/// be understood is never taken for none.
///
/// # Errors
/// The operator's ledger, or the only newest copy of it on the nodes, cannot be read or written.
pub async fn observe<F: Fleet, L: LedgerStore, M: Minter, C: Clock>(
    ports: &Ports<'_, F, L, M, C>,
    assignment: &Assignment,
    listener: &dyn Listener,
    recover: Recover,
) -> PortResult<Observation> {
    observe_patiently(ports, assignment, listener, recover, FIRST_PATIENCE).await
}

/// [`observe`], waiting so long for components that take a question and do not answer it.
pub(crate) async fn observe_patiently<F: Fleet, L: LedgerStore, M: Minter, C: Clock>(
    ports: &Ports<'_, F, L, M, C>,
    assignment: &Assignment,
    listener: &dyn Listener,
    recover: Recover,
    patience: Duration,
) -> PortResult<Observation> {
    let mut ledger = ports.ledger.read()?;
    if let Some(ledger) = &ledger {
        ports.fleet.entrust(ledger);
    }
    let mut roster: BTreeMap<NodeName, LastNode> = BTreeMap::new();
    let mut seen = BTreeMap::new();
    loop {
        let wanted = enlist(assignment, ledger.as_ref());
        let news: Vec<NodeName> =
            wanted.iter().filter(|(node, last)| roster.get(*node) != Some(*last)).map(name_of).collect();
        for node in &news {
            ports.fleet.enrol(node, &wanted[node]);
        }
        let news = news.into_iter().map(|node| {
            let last_prefix = wanted[&node].prefix.clone();
            let last_etcd = ledger.as_ref().and_then(|ledger| ledger.nodes.get(&node)?.etcd.clone());
            (node, LookScope { last_prefix, last_etcd, ..assignment.scope.clone() })
        });
        seen.extend(look_at_all(ports.fleet, news.collect(), recover.traces()).await);
        seen.retain(|node, _| wanted.contains_key(node));
        roster = wanted;
        // A newer ledger may name nodes that nobody knew of, and those may hold a still newer one.
        let Some((from, newer)) = newer_copy(ports.fleet, assignment, ledger.as_ref(), &seen).await? else {
            break;
        };
        listener.hear(Event::LedgerRecovered { from: &from, serial: newer.serial });
        if recover == Recover::AndKeep {
            ports.ledger.commit(&newer)?;
        }
        ports.fleet.entrust(&newer);
        ledger = Some(newer);
    }
    let began = Instant::now();
    let deadline = began + patience;
    await_answers(ports.fleet, &mut seen, began + FIRST_PATIENCE, deadline).await;
    let (etcd, in_kube) = tokio::join!(
        look_at_etcd(ports.fleet, &seen, deadline),
        look_at_kube(ports.fleet, assignment, &seen)
    );
    let InKube { nodes: kube, kept, objects } = in_kube;
    let inventory = Inventory {
        taken_at: ports.clock.now(),
        etcd,
        kube,
        kept,
        objects,
        ledger: face(ledger.as_ref(), assignment, &seen),
        nodes: seen,
    };
    Ok(Observation { inventory, ledger })
}

/// The nodes of the ledger and of the desired state; where both know a node, the desired state says where it is.
pub(crate) fn enlist(assignment: &Assignment, ledger: Option<&Ledger>) -> BTreeMap<NodeName, LastNode> {
    let mut nodes = ledger.map(|ledger| ledger.nodes.clone()).unwrap_or_default();
    nodes.extend(assignment.nodes.clone());
    nodes
}

fn name_of((node, _): (&NodeName, &LastNode)) -> NodeName {
    node.clone()
}

async fn look_at_all<F: Fleet>(
    fleet: &F,
    nodes: Vec<(NodeName, LookScope)>,
    traces: Traces,
) -> BTreeMap<NodeName, NodeSeen> {
    stream::iter(nodes)
        .map(|(node, scope)| async move {
            let seen = look_at(fleet, &scope, &node, traces).await;
            (node, seen)
        })
        .buffer_unordered(LOOKS_AT_ONCE)
        .collect()
        .await
}

pub(crate) async fn look_at<F: Fleet>(
    fleet: &F,
    scope: &LookScope,
    node: &NodeName,
    traces: Traces,
) -> NodeSeen {
    let look = || timeout(LOOK_WITHIN, fleet.look(node, scope, traces));
    let mut looked = look().await;
    if matches!(&looked, Ok(Err(error)) if error.is_passing()) {
        sleep(RETRY_AFTER).await;
        looked = look().await;
    }
    match looked {
        Ok(Ok(facts)) => NodeSeen::InSight(Box::new(facts)),
        // The node is named by the entry's key.
        Ok(Err(PortError::OutOfSight { cause, .. })) => NodeSeen::OutOfSight(cause),
        Ok(Err(error)) => NodeSeen::OutOfSight(error.to_string()),
        Err(_) => NodeSeen::OutOfSight(format!("no answer within {} s", LOOK_WITHIN.as_secs())),
    }
}

/// The newest copy on a node, if it is newer than the ledger at hand; with the node that held it.
///
/// With a ledger at hand only those are taken for keepers of a newer one that it or cluster.yml has for control planes: a
/// worker holds no copy. Without a ledger at hand a copy is taken only if all copies are of one lineage: which of two clusters is
/// meant, a person must say.
async fn newer_copy<F: Fleet>(
    fleet: &F,
    assignment: &Assignment,
    ledger: Option<&Ledger>,
    seen: &BTreeMap<NodeName, NodeSeen>,
) -> PortResult<Option<(NodeName, Ledger)>> {
    let is_keeper = |node: &NodeName| {
        let has_role = |nodes: &BTreeMap<NodeName, LastNode>| {
            nodes.get(node).is_some_and(|last| last.roles.contains(&Role::ControlPlane))
        };
        ledger.is_none_or(|ledger| has_role(&ledger.nodes)) || has_role(&assignment.nodes)
    };
    let copies = || {
        let seen = facts_of(seen).filter(|(node, _)| is_keeper(node));
        seen.filter_map(|(node, facts)| Some((node, facts.ledger.as_ref()?)))
    };
    let path_on = |node: &NodeName| {
        let prefix = seen.get(node).and_then(NodeSeen::facts).and_then(|facts| facts.prefix.as_ref());
        &assignment.scope.footprints.under(prefix).ledger
    };
    let lineage = match ledger {
        Some(ledger) => ledger.lineage.clone(),
        None => match copies().next() {
            Some((_, first)) if copies().all(|(_, copy)| copy.lineage == first.lineage) => {
                first.lineage.clone()
            }
            Some(_) | None => return Ok(None),
        },
    };
    let own = ledger.map(|ledger| ledger.serial);
    let newest = copies()
        .filter(|(_, copy)| copy.lineage == lineage && Some(copy.serial) > own)
        .map(|(_, copy)| copy.serial)
        .max();
    let Some(newest) = newest else { return Ok(None) };
    let mut causes = Vec::new();
    for (node, copy) in copies() {
        if copy.lineage == lineage && copy.serial == newest {
            match read_copy(fleet, node, path_on(node)).await {
                Ok(ledger) if ledger.lineage == lineage && ledger.serial >= newest => {
                    return Ok(Some((node.clone(), ledger)));
                }
                Ok(ledger) => causes.push(format!("{node}: it became serial {} meanwhile", ledger.serial)),
                Err(cause) => causes.push(format!("{node}: {cause}")),
            }
        }
    }
    Err(PortError::Lasting {
        what: format!(
            "the newest ledger of this cluster, serial {newest}, cannot be read back ({})",
            causes.join("; ")
        ),
    })
}

async fn read_copy<F: Fleet>(fleet: &F, node: &NodeName, path: &FilePath) -> Result<Ledger, String> {
    let read = || fleet.read_file(node, path);
    let mut bytes = read().await;
    if matches!(&bytes, Err(error) if error.is_passing()) {
        sleep(RETRY_AFTER).await;
        bytes = read().await;
    }
    match bytes {
        Ok(Some(bytes)) => {
            let ledger = decode(bytes.expose()).map_err(|error| error.to_string())?;
            credible::check(&ledger).map_err(|error| error.to_string())?;
            Ok(ledger)
        }
        Ok(None) => Err("it is no longer there".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn facts_of(seen: &BTreeMap<NodeName, NodeSeen>) -> impl Iterator<Item = (&NodeName, &NodeFacts)> {
    seen.iter().filter_map(|(node, seen)| Some((node, seen.facts()?)))
}

/// Asks running components again that said that they do not work, or did not answer: what is seen once may be a moment.
/// Those that are ill get until `ill_until`, those that are silent until `silent_until`.
async fn await_answers<F: Fleet>(
    fleet: &F,
    seen: &mut BTreeMap<NodeName, NodeSeen>,
    ill_until: Instant,
    silent_until: Instant,
) {
    let deadline_of = |container: &ContainerSeen| match (container.state, container.health) {
        (ContainerState::Running, Health::Unhealthy) => Some(ill_until),
        (ContainerState::Running, Health::Unknown(Unasked::NoAnswer)) => Some(silent_until),
        _ => None,
    };
    let asked: Vec<(NodeName, ContainerName)> = facts_of(seen)
        .flat_map(|(node, facts)| facts.containers.iter().map(move |container| (node, container)))
        .filter(|(_, (_, container))| deadline_of(container).is_some())
        .map(|(node, (name, _))| (node.clone(), name.clone()))
        .collect();
    let answers = asked.into_iter().map(|(node, name)| async move {
        let mut last = None;
        let mut deadline = ill_until.max(silent_until);
        while Instant::now() + ASK_AGAIN_AFTER < deadline {
            sleep(ASK_AGAIN_AFTER).await;
            match fleet.container(&node, &name).await {
                Ok(Some(container)) => {
                    let until = deadline_of(&container);
                    last = Some(container);
                    match until {
                        Some(until) => deadline = until,
                        None => break,
                    }
                }
                // What has gone meanwhile, the next look finds.
                Ok(None) | Err(_) => break,
            }
        }
        (node, name, last)
    });
    for (node, name, last) in join_all(answers).await {
        if let (Some(NodeSeen::InSight(facts)), Some(container)) = (seen.get_mut(&node), last) {
            facts.containers.insert(name, container);
        }
    }
}

async fn look_at_etcd<F: Fleet>(
    fleet: &F,
    seen: &BTreeMap<NodeName, NodeSeen>,
    deadline: Instant,
) -> EtcdSeen {
    let container = Component::Etcd.container();
    let mut holders: Vec<(bool, &NodeName)> = facts_of(seen)
        .filter_map(|(node, facts)| {
            let etcd = facts.containers.get(&container)?;
            Some((etcd.state != ContainerState::Running, node))
        })
        .collect();
    // `false` sorts first: those that run.
    holders.sort_unstable();
    if holders.is_empty() {
        return EtcdSeen::Silent;
    }
    let via: Vec<NodeName> = holders.into_iter().map(|(_, node)| node.clone()).collect();
    let mut members = fleet.members(&via).await;
    if matches!(&members, Err(error) if error.is_passing()) {
        sleep(RETRY_AFTER).await;
        members = fleet.members(&via).await;
    }
    let is_late = |seen: &EtcdSeen| {
        seen.members().iter().any(|member| member.health == Health::Unknown(Unasked::NoAnswer))
    };
    while matches!(&members, Ok(seen) if is_late(seen)) && Instant::now() + ASK_AGAIN_AFTER < deadline {
        sleep(ASK_AGAIN_AFTER).await;
        members = fleet.members(&via).await;
    }
    members.unwrap_or(EtcdSeen::Silent)
}

/// What Kubernetes answers.
#[derive(Default)]
struct InKube {
    nodes: KubeSeen,
    kept: Option<KeptRoots>,
    objects: ObjectsSeen,
}

async fn look_at_kube<F: Fleet>(
    fleet: &F,
    assignment: &Assignment,
    seen: &BTreeMap<NodeName, NodeSeen>,
) -> InKube {
    let container = Component::KubeApiserver.container();
    if !facts_of(seen).any(|(_, facts)| facts.containers.contains_key(&container)) {
        // Nobody is there to answer; asking would only wait.
        return InKube::default();
    }
    let look = async || {
        let nodes = fleet.nodes().await?;
        if nodes == KubeSeen::Silent {
            return Ok(InKube::default());
        }
        let (kept, objects) = tokio::try_join!(fleet.kept_roots(), fleet.objects(&assignment.objects))?;
        Ok::<_, PortError>(InKube { nodes, kept, objects })
    };
    let look_twice = async {
        let mut looked = look().await;
        if matches!(&looked, Err(error) if error.is_passing()) {
            sleep(RETRY_AFTER).await;
            looked = look().await;
        }
        looked.unwrap_or_default()
    };
    let works = |container: &ContainerSeen| {
        container.state == ContainerState::Running
            && !matches!(container.health, Health::Unhealthy | Health::Unknown(Unasked::NoAnswer))
    };
    if facts_of(seen).filter_map(|(_, facts)| facts.containers.get(&container)).any(works) {
        look_twice.await
    } else {
        timeout(ILL_KUBE_WITHIN, look_twice).await.unwrap_or_default()
    }
}

fn face(ledger: Option<&Ledger>, assignment: &Assignment, seen: &BTreeMap<NodeName, NodeSeen>) -> LedgerFace {
    let lineage = ledger.map(|ledger| ledger.lineage.clone());
    let mut strangers: BTreeMap<Lineage, Vec<NodeName>> = BTreeMap::new();
    for (node, facts) in facts_of(seen) {
        if let Some(copy) = facts.ledger.as_ref().filter(|copy| Some(&copy.lineage) != lineage.as_ref()) {
            strangers.entry(copy.lineage.clone()).or_default().push(node.clone());
        }
    }
    let copies: Vec<Digest> = facts_of(seen)
        .filter_map(|(_, facts)| {
            let footprint = assignment.scope.footprints.under(facts.prefix.as_ref());
            facts.files.get(&footprint.ledger)
        })
        .map(|file| file.digest)
        .collect();
    let secrets = assignment.secret_digests();
    let Some(ledger) = ledger else {
        return LedgerFace { secrets, strangers, ..LedgerFace::default() };
    };
    LedgerFace {
        lineage,
        serial: ledger.serial,
        digest: Some(digest_of_copies(ledger, &copies)),
        roots: Some(kept(ledger).digest),
        certs: ledger.certs.iter().map(|(name, cert)| (name.clone(), face_of(cert))).collect(),
        nodes: ledger.nodes.clone(),
        foundation: ledger.foundation.clone(),
        born: ledger.born,
        first_members: ledger.first_members.clone(),
        restore: ledger.restore.clone(),
        stored: ledger.stored.clone(),
        secrets,
        strangers,
    }
}
