//! What follows from the state of the world at a moment: who serves, who is available, who is healthy.
//!
//! ```text
//! etcd members ──▶ API servers ──▶ nginx-proxy ──▶ kubelet ──▶ node objects ──▶ pods
//! ```
//!
//! Worked out when something has changed or a moment has come at which something changes by itself.

use std::collections::{BTreeMap, BTreeSet};

use windlass_model::{Alarm, Component, MemberId, NodeName, Usage};

use crate::docker::{Container, Phase};
use crate::etcd::{Boot, Cluster, client_may_talk, external_cluster};
use crate::process::{ApiWork, ClientWork, Program, Work};
use crate::world::{Link, Power, Service, World};

/// `/readyz` of an API server repeats the error of its last look at etcd, which may take so long, for a while
/// (`newETCD3Check` of apiserver's `storagebackend/factory`: a timeout of 2 s, and a limiter).
const READYZ_LAG: u64 = 2_000;

/// What was worked out last.
#[derive(Clone, Debug)]
pub(crate) struct View {
    /// Whether something has changed since.
    pub(crate) stale: bool,
    /// When something changes by itself.
    pub(crate) until: u64,
    pub(crate) clusters: BTreeMap<u64, ClusterView>,
    pub(crate) nodes: Vec<NodeView>,
    pub(crate) marks: Marks,
}

impl Default for View {
    fn default() -> Self {
        Self { stale: true, until: 0, clusters: BTreeMap::new(), nodes: Vec::new(), marks: Marks::default() }
    }
}

/// One cluster of etcd.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClusterView {
    pub(crate) voters: usize,
    pub(crate) standing: Standing,
    pub(crate) leader: Option<MemberId>,
    /// The members around the leader, and where they run.
    pub(crate) serving: BTreeMap<MemberId, usize>,
}

impl ClusterView {
    pub(crate) fn serves(&self, member: MemberId) -> bool {
        self.serving.contains_key(&member)
    }
}

/// Whether a majority is connected; an election may still be under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) enum Standing {
    Quorate,
    #[default]
    Broken,
}

/// One machine.
#[derive(Clone, Debug, Default)]
pub(crate) struct NodeView {
    /// The cluster that its API server serves.
    pub(crate) api: Option<u64>,
    /// Whether its nginx-proxy finds an API server.
    pub(crate) proxy: bool,
    /// The cluster with which its kubelet talks, and as which node.
    pub(crate) registered: Option<(u64, NodeName)>,
    /// Whether its own processes do all that a worker needs.
    pub(crate) worker_able: bool,
}

/// What the invariants compare before and after a verb.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    /// By cluster that has lived: voters, and since when a majority is connected.
    pub(crate) quorate: BTreeMap<u64, (usize, Option<u64>)>,
    /// Workers of the rules that have been available once and are not.
    pub(crate) unavailable_workers: BTreeSet<usize>,
    /// Workers of the rules that are available, and since when.
    pub(crate) available_workers: BTreeMap<usize, u64>,
    /// Machines of the rules whose API server has served once and does not.
    pub(crate) unavailable_apis: BTreeSet<usize>,
    /// Machines whose API server serves, and since when.
    pub(crate) serving_apis: BTreeMap<usize, u64>,
    /// Whether any etcd serves: while none does, no API server does, through no fault of its own.
    pub(crate) etcd_serves: bool,
}

impl World {
    /// Works everything out again.
    pub(crate) fn refresh(&mut self) {
        self.heartbeats();
        // By what was so until now.
        self.take_due_snapshots();
        let mut until = u64::MAX;
        let clusters = self.settle_etcd(&mut until);
        self.view.clusters = clusters;
        let mut nodes = vec![NodeView::default(); self.nodes.len()];
        for (machine, node) in nodes.iter_mut().enumerate() {
            if let Some((api, true)) = self.api_work(machine, &mut until) {
                node.api = self.etcd_behind(machine, api);
                let ready_at = node.api.map_or(0, |api| self.api_servers_know_leader_at(api));
                if ready_at > self.now {
                    until = until.min(ready_at);
                }
            }
        }
        self.view.nodes = nodes;
        self.guests_settle();
        for machine in 0..self.nodes.len() {
            self.view.nodes[machine].proxy = self.finds_upstream(machine, &mut until);
        }
        for machine in 0..self.nodes.len() {
            let registered = self.registration(machine, &mut until);
            let able = self.has_able_worker(machine, &mut until);
            self.view.nodes[machine].registered = registered;
            self.view.nodes[machine].worker_able = able;
        }
        self.settle_kube(&mut until);
        self.settle_secrets();
        self.view.stale = false;
        self.view.until = until;
        self.view.marks = self.take_marks();
    }

    /// Whether a container runs, has started up and has good certificates; when that changes by itself is noted.
    pub(crate) fn is_able(&self, container: &Container, until: &mut u64) -> bool {
        let Some(program) = &container.program else { return false };
        if container.phase != Phase::Running
            || program.crash.is_some()
            || program.fault.is_some()
            || matches!(container.boot, Boot::Crash { .. })
        {
            return false;
        }
        if container.ready_at > self.now {
            *until = (*until).min(container.ready_at);
            return false;
        }
        self.note_dates(program, until);
        self.is_in_date(program)
    }

    /// Whether a component answers windlass' questions too late.
    pub(crate) fn is_busy(&self, machine: usize, component: Component) -> bool {
        self.nodes[machine].busy.get(&component).is_some_and(|until| self.now < *until)
    }

    pub(crate) fn is_in_date(&self, program: &Program) -> bool {
        let time = self.time();
        program.from <= time && program.until.is_none_or(|until| time < until)
    }

    fn note_dates(&self, program: &Program, until: &mut u64) {
        for date in std::iter::once(program.from).chain(program.until) {
            let at = date.seconds_since(self.start.0) * 1_000;
            if at > self.now {
                *until = (*until).min(at);
            }
        }
    }

    pub(crate) fn able_component(
        &self,
        machine: usize,
        kind: Component,
        until: &mut u64,
    ) -> Option<&Container> {
        if self.nodes[machine].power == Power::Off {
            return None;
        }
        self.nodes[machine].running(kind).filter(|container| self.is_able(container, until))
    }

    fn api_work(&self, machine: usize, until: &mut u64) -> Option<(&ApiWork, bool)> {
        let container = self.nodes[machine].running(Component::KubeApiserver)?;
        let Work::Api(work) = &container.program.as_ref()?.work else { return None };
        let able = self.nodes[machine].power == Power::On && self.is_able(container, until);
        Some((work, able))
    }

    /// The cluster that an API server reaches by any of its `--etcd-servers`.
    fn etcd_behind(&self, machine: usize, api: &ApiWork) -> Option<u64> {
        api.etcd_servers.iter().find_map(|host| {
            let Some(other) = self.machine_at(machine, host) else {
                let reaches = self.external_etcd == Service::Up && self.nodes[machine].peers == Link::Open;
                return (api.is_a_guest && reaches).then(|| external_cluster(&api.etcd_prefix));
            };
            let (member, boot, _) = self.etcd_work(other)?;
            let Boot::Member { cluster, id } = boot else { return None };
            // It answers no read any more then (`applierV3Corrupt`).
            let is_corrupt = self.clusters.get(cluster).is_some_and(|it| it.has_raised(Alarm::Corrupt));
            let serves = self.view.clusters.get(cluster).is_some_and(|view| view.serves(*id));
            (serves
                && !is_corrupt
                && !self.is_locked_out_for(other, machine, Component::KubeApiserver)
                && self.are_connected(machine, other)
                && client_may_talk(&api.etcd, member, host))
            .then_some(*cluster)
        })
    }

    fn finds_upstream(&self, machine: usize, until: &mut u64) -> bool {
        let Some(container) = self.able_component(machine, Component::NginxProxy, until) else {
            return false;
        };
        self.upstreams(machine, container).next().is_some()
    }

    /// The machines with a healthy API server behind an nginx-proxy.
    fn upstreams<'w>(&'w self, machine: usize, proxy: &'w Container) -> impl Iterator<Item = usize> + 'w {
        let hosts = match proxy.program.as_deref() {
            Some(Program { work: Work::Proxy { upstreams }, .. }) => upstreams.as_slice(),
            _ => &[],
        };
        hosts
            .iter()
            .filter_map(move |host| self.machine_at(machine, host))
            .filter(move |other| self.view.nodes[*other].api.is_some() && self.are_connected(machine, *other))
    }

    /// The cluster that a client on a machine reaches by the server of its kubeconfig: its own API server, or the
    /// local nginx-proxy where the machine has none.
    fn cluster_of(&self, machine: usize, client: &ClientWork, until: &mut u64) -> Option<u64> {
        let accepted = |api: usize, host: &str| {
            let (work, _) = self.api_work(api, &mut u64::MAX.clone())?;
            let named =
                client.tls.trust.is_none() || work.serving.cert.as_ref().is_some_and(|cert| cert.names(host));
            (named
                && work.serving.believes(client.tls.cert.as_ref(), Usage::ClientAuth)
                && client.tls.believes(work.serving.cert.as_ref(), Usage::ServerAuth))
            .then_some(self.view.nodes[api].api)?
        };
        let target = self.machine_at(machine, &client.server)?;
        if !self.are_connected(machine, target) {
            return None;
        }
        if self.nodes[target].running(Component::KubeApiserver).is_some() {
            return accepted(target, &client.server);
        }
        let proxy = self.able_component(target, Component::NginxProxy, until)?;
        self.upstreams(target, proxy).find_map(|api| accepted(api, &client.server))
    }

    fn registration(&self, machine: usize, until: &mut u64) -> Option<(u64, NodeName)> {
        let kubelet = self.able_component(machine, Component::Kubelet, until)?;
        let Work::Client(client) = &kubelet.program.as_ref()?.work else { return None };
        let cluster = self.cluster_of(machine, client, until)?;
        Some((cluster, NodeName::from(client.node.as_str())))
    }

    /// Whether kubelet and kube-proxy do their own part, and nginx-proxy, where there is no API server, finds one.
    fn has_able_worker(&self, machine: usize, until: &mut u64) -> bool {
        let node = &self.nodes[machine];
        let connected = node.power == Power::On && node.peers == Link::Open;
        let has_api = node.containers.values().any(|c| c.kind == Some(Component::KubeApiserver));
        let needed: &[Component] = if has_api {
            &[Component::Kubelet, Component::KubeProxy]
        } else {
            &[Component::Kubelet, Component::KubeProxy, Component::NginxProxy]
        };
        connected
            && needed.iter().all(|kind| self.able_component(machine, *kind, until).is_some())
            && (has_api || self.view.nodes[machine].proxy)
    }

    /// Whether a running container answers as it should, at this moment.
    pub(crate) fn is_healthy(&self, machine: usize, container: &Container) -> bool {
        if !self.is_able(container, &mut u64::MAX.clone()) {
            return false;
        }
        let view = &self.view.nodes[machine];
        let api_reached = || {
            container.program.as_ref().is_some_and(|program| match &program.work {
                Work::Client(client) => self.cluster_of(machine, client, &mut u64::MAX.clone()).is_some(),
                _ => false,
            })
        };
        match container.kind {
            Some(Component::Etcd) => match container.boot {
                // With an alarm `/health` is false on every member (`checkHealth` of `etcdhttp`).
                Boot::Member { cluster, id } => {
                    let warns =
                        |cluster: &Cluster| !cluster.alarms.is_empty() || self.now < cluster.lifted_until;
                    self.clusters.get(&cluster).is_some_and(|cluster| !warns(cluster))
                        && self.view.clusters.get(&cluster).is_some_and(|view| view.serves(id))
                }
                Boot::Pending | Boot::Crash { .. } => false,
            },
            Some(Component::KubeApiserver) => {
                view.api.is_some_and(|api| self.now >= self.api_servers_know_leader_at(api))
            }
            Some(Component::KubeControllerManager | Component::KubeScheduler) => api_reached(),
            Some(Component::NginxProxy) => view.proxy,
            // Their health says nothing of the API server: it is asked of themselves.
            Some(Component::Kubelet | Component::KubeProxy | Component::EtcdRollingSnapshots) | None => true,
        }
    }

    /// From when on the API servers of a cluster say that they are ready again after its last election.
    fn api_servers_know_leader_at(&self, cluster: u64) -> u64 {
        let election = self.clusters.get(&cluster).map_or(0, |cluster| cluster.election_until);
        if election == 0 { 0 } else { election + READYZ_LAG }
    }

    fn take_marks(&mut self) -> Marks {
        let is_external = self.clusters.values().any(Cluster::is_elsewhere);
        let etcd_serves = self.view.clusters.values().any(|cluster| cluster.leader.is_some())
            || (is_external && self.external_etcd == Service::Up);
        // One that is disconnected from the others still serves its own machine, and says of itself that it is well.
        let serves = |machine: &usize| self.view.nodes[*machine].api.is_some();
        let since = |machine| self.view.marks.serving_apis.get(&machine).copied().unwrap_or(self.now);
        let serving_apis: BTreeMap<usize, u64> =
            (0..self.nodes.len()).filter(serves).map(|machine| (machine, since(machine))).collect();
        let workers: BTreeSet<usize> =
            self.run.rules.workers.iter().filter_map(|node| self.machine_of(node)).collect();
        let controlplanes: BTreeSet<usize> =
            self.run.rules.controlplanes.iter().filter_map(|node| self.machine_of(node)).collect();
        let available: BTreeSet<usize> = workers
            .iter()
            .copied()
            .filter(|machine| self.view.nodes[*machine].worker_able && !self.is_cordoned(*machine))
            .filter(|machine| self.dark_since(*machine).is_none())
            // Without a network for pods Kubernetes does not call it ready.
            .filter(|machine| self.nodes[*machine].machine.pod_network)
            .collect();
        self.run.last_darkening = workers.iter().filter_map(|machine| self.dark_since(*machine)).max();
        // Who has never been of use cannot become unavailable: a first start disturbs nobody, and no pods are where a role's taint
        // still keeps them away.
        let of_use = available.iter().filter(|machine| {
            self.view.nodes[**machine].registered.is_some() && !self.keeps_pods_away(**machine)
        });
        let of_use: Vec<usize> = of_use.copied().collect();
        self.run.workers_seen.extend(of_use);
        self.run.apis_seen.extend(serving_apis.keys());
        let known = &self.view.marks.available_workers;
        let available_workers = available
            .iter()
            .map(|machine| (*machine, known.get(machine).copied().unwrap_or(self.now)))
            .collect();
        Marks {
            available_workers,
            quorate: self
                .view
                .clusters
                .iter()
                .filter(|(id, _)| self.clusters[id].lived)
                .map(|(id, view)| {
                    let stood = self.view.marks.quorate.get(id).and_then(|(_, since)| *since);
                    let since = (view.standing == Standing::Quorate).then(|| stood.unwrap_or(self.now));
                    (*id, (view.voters, since))
                })
                .collect(),
            unavailable_workers: workers
                .into_iter()
                .filter(|machine| !available.contains(machine) && self.run.workers_seen.contains(machine))
                .collect(),
            unavailable_apis: controlplanes
                .into_iter()
                .filter(|machine| !serving_apis.contains_key(machine) && self.run.apis_seen.contains(machine))
                .collect(),
            serving_apis,
            etcd_serves,
        }
    }
}
