//! The scripted etcd and Kubernetes of the fake.

use windlass_engine::{Etcd, EtcdCare, Eviction, Kube, PodSeen, PortResult};
use windlass_model::{
    Alarm, DesiredObject, DrainOptions, EtcdSeen, Health, KeptRoots, KubeSeen, MemberId, MemberReport,
    MemberSeen, NodeName, NodeObject, ObjectChange, ObjectRef, ObjectsSeen, Scheduling, Secret, Vote,
};

use super::{Evicted, Fake, lasting};

fn names(via: &[NodeName]) -> String {
    via.iter().map(NodeName::as_str).collect::<Vec<_>>().join(",")
}

impl Etcd for Fake {
    async fn members(&self, via: &[NodeName]) -> PortResult<EtcdSeen> {
        self.verb("etcd", format!("etcd members via {}", names(via)), |world| {
            Ok(if world.members.is_empty() {
                EtcdSeen::Silent
            } else {
                EtcdSeen::Members(world.members.clone())
            })
        })
        .await
    }

    async fn add_learner(&self, _: &[NodeName], peer_url: &str) -> PortResult<()> {
        self.verb("etcd", format!("etcd add {peer_url}"), |world| {
            world.members.push(MemberSeen {
                id: MemberId(99),
                name: String::new(),
                peer_url: peer_url.to_owned(),
                vote: Vote::Learner,
                health: Health::Unhealthy,
                leads: false,
                alarms: std::collections::BTreeSet::new(),
                db_bytes: None,
            });
            Ok(())
        })
        .await
    }

    async fn promote(&self, _: &[NodeName], peer_url: &str) -> PortResult<()> {
        self.verb("etcd", format!("etcd promote {peer_url}"), |world| {
            let learner = world.members.iter_mut().find(|member| member.peer_url == peer_url);
            learner.ok_or_else(|| lasting("no such member"))?.vote = Vote::Voter;
            Ok(())
        })
        .await
    }

    async fn remove_member(&self, _: &[NodeName], id: MemberId) -> PortResult<()> {
        self.verb("etcd", format!("etcd remove {id}"), |world| {
            world.members.retain(|member| member.id != id);
            Ok(())
        })
        .await
    }

    async fn move_leader(&self, _: &[NodeName], away_from: &str) -> PortResult<()> {
        self.verb("etcd", format!("etcd move leader off {away_from}"), |world| {
            for member in &mut world.members {
                member.leads = false;
            }
            if let Some(other) = world.members.iter_mut().find(|member| member.peer_url != away_from) {
                other.leads = true;
            }
            Ok(())
        })
        .await
    }
}

impl EtcdCare for Fake {
    async fn member_report(&self, node: &NodeName) -> PortResult<MemberReport> {
        self.verb(node.as_str(), format!("{node} member report"), |_| Err(lasting("no report is scripted")))
            .await
    }

    async fn compact(&self, via: &[NodeName]) -> PortResult<u64> {
        self.verb("etcd", format!("etcd compact via {}", names(via)), |_| Ok(1)).await
    }

    async fn defragment(&self, node: &NodeName) -> PortResult<()> {
        self.verb(node.as_str(), format!("{node} defragment"), |_| Ok(())).await
    }

    async fn disarm(&self, _: &[NodeName], member: MemberId, alarm: Alarm) -> PortResult<()> {
        self.verb("etcd", format!("etcd disarm {alarm} of {member}"), |_| Ok(())).await
    }

    async fn give_leadership(&self, _: &[NodeName], peer_url: &str) -> PortResult<()> {
        self.verb("etcd", format!("etcd lead by {peer_url}"), |_| Ok(())).await
    }
}

impl Kube for Fake {
    async fn nodes(&self) -> PortResult<KubeSeen> {
        self.verb("kube", "kube nodes".to_owned(), |world| {
            Ok(if world.kube_is_silent { KubeSeen::Silent } else { KubeSeen::Nodes(world.objects.clone()) })
        })
        .await
    }

    async fn node(&self, node: &NodeName) -> PortResult<Option<NodeObject>> {
        self.verb("kube", format!("kube node {node}"), |world| Ok(world.objects.get(node).cloned())).await
    }

    async fn cordon(&self, node: &NodeName) -> PortResult<()> {
        self.verb("kube", format!("kube cordon {node}"), |world| {
            world.objects.entry(node.clone()).or_default().scheduling = Scheduling::CordonedByWindlass;
            Ok(())
        })
        .await
    }

    async fn uncordon(&self, node: &NodeName) -> PortResult<()> {
        self.verb("kube", format!("kube uncordon {node}"), |world| {
            world.objects.entry(node.clone()).or_default().scheduling = Scheduling::Open;
            Ok(())
        })
        .await
    }

    async fn pods(&self, node: &NodeName) -> PortResult<Vec<PodSeen>> {
        self.verb("kube", format!("kube pods {node}"), |world| {
            Ok(world.pods.get(node.as_str()).into_iter().flatten().map(|(pod, _)| pod.clone()).collect())
        })
        .await
    }

    async fn evict(&self, pod: &PodSeen, _: &DrainOptions) -> PortResult<Eviction> {
        self.verb("kube", format!("kube evict {}", pod.name), |world| {
            for pods in world.pods.values_mut() {
                match pods.get_mut(pod) {
                    None => continue,
                    Some(Evicted::Blocked(tries)) if *tries > 0 => {
                        *tries -= 1;
                        return Ok(Eviction::Blocked);
                    }
                    Some(Evicted::Ends) => return Ok(Eviction::Granted),
                    Some(Evicted::Goes | Evicted::Blocked(_)) => {}
                }
                pods.remove(pod);
            }
            Ok(Eviction::Granted)
        })
        .await
    }

    async fn patch_node(&self, node: &NodeName, _: &ObjectChange) -> PortResult<()> {
        self.verb("kube", format!("kube patch {node}"), |_| Ok(())).await
    }

    async fn delete_node(&self, node: &NodeName) -> PortResult<()> {
        self.verb("kube", format!("kube delete {node}"), |world| {
            world.objects.remove(node);
            Ok(())
        })
        .await
    }

    async fn kept_roots(&self) -> PortResult<Option<KeptRoots>> {
        self.verb("kube", "kube kept roots".to_owned(), |_| Ok(None)).await
    }

    async fn objects(&self, _: &[ObjectRef]) -> PortResult<ObjectsSeen> {
        self.verb("kube", "kube objects".to_owned(), |world| Ok(world.addon_objects.clone())).await
    }

    async fn note_objects(&self, ours: &[ObjectRef], gone: &[ObjectRef]) -> PortResult<()> {
        let named =
            |objects: &[ObjectRef]| objects.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        self.verb("kube", format!("kube note [{}] forget [{}]", named(ours), named(gone)), |_| Ok(())).await
    }

    async fn apply_object(&self, object: &DesiredObject) -> PortResult<()> {
        self.verb("kube", format!("kube apply {}", object.object), |_| Ok(())).await
    }

    async fn delete_object(&self, object: &ObjectRef) -> PortResult<()> {
        self.verb("kube", format!("kube delete {object}"), |_| Ok(())).await
    }

    async fn why_pods_wait(&self, object: &ObjectRef) -> PortResult<Vec<String>> {
        self.verb("kube", format!("kube why pods of {object} wait"), |_| Ok(Vec::new())).await
    }

    async fn rewrite_secrets(&self, rest: Option<&str>) -> PortResult<Option<String>> {
        let (from, then) = match rest {
            None => ("the first", Some("rest".to_owned())),
            Some(_) => ("the rest", None),
        };
        self.verb("kube", format!("kube rewrite {from}"), move |_| Ok(then)).await
    }

    async fn drop_roots(&self) -> PortResult<()> {
        self.verb("kube", "kube drop roots".to_owned(), |_| Ok(())).await
    }

    async fn keep_roots(&self, kept: &KeptRoots, _: &Secret<Vec<u8>>) -> PortResult<()> {
        self.verb("kube", format!("kube keep roots of serial {}", kept.serial), |_| Ok(())).await
    }
}
