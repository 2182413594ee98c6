//! Waits until something is as it should be.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use windlass_model::{ContainerState, EtcdLogSeen, EtcdSeen, Gate, Health, PodNetwork, Readiness};

use crate::ports::{Clock, Fleet, LedgerStore, Minter, PortError, Traces};
use crate::run::Run;
use crate::step_error::{Done, Seen, StepError};

/// The pauses between looks: short at first, since most conditions are met at once; never above a second.
#[derive(Debug)]
pub(crate) struct Pauses(Duration);

impl Default for Pauses {
    fn default() -> Self {
        Self(Duration::from_millis(100))
    }
}

impl Pauses {
    /// When to look again; the pause after it is twice as long.
    pub(crate) fn next_from_now(&mut self) -> Instant {
        let next = Instant::now() + self.0;
        self.0 = (self.0 * 2).min(Duration::from_secs(1));
        next
    }
}

impl<F: Fleet, L: LedgerStore, M: Minter, C: Clock> Run<'_, F, L, M, C> {
    pub(crate) async fn await_healthy(&self, gate: &Gate, within_seconds: u32) -> Done {
        let deadline = Instant::now() + Duration::from_secs(within_seconds.into());
        let mut pauses = Pauses::default();
        loop {
            let seen = match self.look_at_gate(gate).await {
                Ok(None) => {
                    self.count_again(gate).await;
                    return Ok(());
                }
                Ok(Some(seen)) => seen,
                // What cannot be asked yet may answer a moment later.
                Err(error) => error.to_string(),
            };
            if Instant::now() >= deadline {
                let wanted = match gate {
                    Gate::Container { node, component } => format!("{component} on {node} to be healthy"),
                    Gate::EtcdMember { node } => format!("the etcd member of {node} to be healthy"),
                    Gate::EtcdLogSnapshot { node } => {
                        format!("the etcd member of {node} to snapshot its log")
                    }
                    Gate::NodeReady { node, .. } => format!("{node} to be ready"),
                    Gate::Addon { addon, .. } => format!("the pods of {addon} to be ready"),
                };
                return Err(StepError::TimeUp { wanted, seconds: within_seconds, source: Seen(seen) });
            }
            sleep_until(deadline.min(pauses.next_from_now())).await;
        }
    }

    /// What is seen at the gate; none if it is open.
    async fn look_at_gate(&self, gate: &Gate) -> Result<Option<String>, PortError> {
        let fleet = self.ports.fleet;
        Ok(match gate {
            Gate::Container { node, component } => {
                match fleet.container(node, &component.container()).await? {
                    None => Some("no such container".to_owned()),
                    Some(seen) if seen.state == ContainerState::Running => reported(seen.health),
                    Some(seen) => Some(seen.state.to_string()),
                }
            }
            Gate::EtcdMember { node } => {
                let Some(peer_url) = self.peer_url(node) else {
                    return Ok(Some("the peer address of the node is unknown".to_owned()));
                };
                match fleet.members(&self.etcd_via(node)).await? {
                    EtcdSeen::Silent => Some("etcd is silent, or has no majority".to_owned()),
                    EtcdSeen::Members(members) => {
                        match members.iter().find(|member| member.peer_url == peer_url) {
                            None => Some(format!("no member {peer_url}")),
                            Some(member) => reported(member.health),
                        }
                    }
                }
            }
            Gate::EtcdLogSnapshot { node } => {
                let facts = fleet.look(node, &self.assignment.scope, Traces::None).await?;
                match facts.etcd_log {
                    EtcdLogSeen::SnapshotSinceCreated => None,
                    EtcdLogSeen::Older => {
                        Some("no snapshot of the log since its container was created".to_owned())
                    }
                }
            }
            Gate::Addon { addon: _, objects, may_miss } => self.look_at_addon(objects, *may_miss).await?,
            Gate::NodeReady { node, network } => match fleet.node(node).await? {
                None => Some("no such node object".to_owned()),
                Some(object) if object.ready == Readiness::Ready => None,
                Some(object) if object.ready == Readiness::LacksNetwork && *network == PodNetwork::NotYet => {
                    None
                }
                Some(object) if object.why_not_ready.is_empty() => Some("not ready".to_owned()),
                Some(object) => Some(format!("not ready: {}", object.why_not_ready)),
            },
        })
    }
}

fn reported(health: Health) -> Option<String> {
    match health {
        Health::Healthy => None,
        Health::Starting => Some("running, and starting up".to_owned()),
        Health::Unhealthy => Some("running, but unhealthy".to_owned()),
        Health::Unknown(why) => Some(format!("running, but nobody knows whether it works: {why}")),
    }
}
