//! The steps that change the membership of etcd.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use windlass_model::{EtcdSeen, Guard, MemberId, MemberSeen, NodeName, Vote};

use crate::gates::Pauses;
use crate::ports::{Clock, Fleet, LedgerStore, Minter, PortError};
use crate::run::Run;
use crate::step_error::{Doing, Done, Seen, StepError, accept_already_so};

impl<F: Fleet, L: LedgerStore, M: Minter, C: Clock> Run<'_, F, L, M, C> {
    pub(crate) async fn add_member(&self, peer_url: &str, via: &[NodeName]) -> Done {
        if self.members(via).await?.iter().any(|member| member.peer_url == peer_url) {
            return Ok(());
        }
        accept_already_so(self.ports.fleet.add_learner(via, peer_url).await)
            .doing(|| format!("add {peer_url} to etcd as a learner"))
    }

    pub(crate) async fn promote_member(&self, peer_url: &str, via: &[NodeName], within_seconds: u32) -> Done {
        let deadline = Instant::now() + Duration::from_secs(within_seconds.into());
        let mut pauses = Pauses::default();
        loop {
            let seen = match self.members(via).await {
                Err(error) if error.passing().is_some() => error.causes().join(": "),
                Err(error) => return Err(error),
                Ok(members) => match members.iter().find(|member| member.peer_url == peer_url) {
                    None => {
                        return Err(StepError::unfit(format!("etcd has no member {peer_url} to promote")));
                    }
                    Some(MemberSeen { vote: Vote::Voter, .. }) => return Ok(()),
                    Some(MemberSeen { vote: Vote::Learner, .. }) => {
                        match accept_already_so(self.ports.fleet.promote(via, peer_url).await) {
                            Err(error) if error.is_passing() => error.to_string(),
                            ended => return ended.doing(|| format!("make {peer_url} a voter of etcd")),
                        }
                    }
                },
            };
            if Instant::now() >= deadline {
                return Err(StepError::TimeUp {
                    wanted: format!("{peer_url} to vote in etcd"),
                    seconds: within_seconds,
                    source: Seen(seen),
                });
            }
            sleep_until(deadline.min(pauses.next_from_now())).await;
        }
    }

    pub(crate) async fn remove_member(
        &self,
        id: MemberId,
        peer_url: &str,
        via: &[NodeName],
        guards: &[Guard],
    ) -> Done {
        if !self.members(via).await?.iter().any(|member| member.id == id) {
            return Ok(());
        }
        self.hold_guards(guards).await?;
        accept_already_so(self.ports.fleet.remove_member(via, id).await)
            .doing(|| format!("take {peer_url}, member {id}, out of etcd"))
    }

    /// The members; a passing error if etcd does not answer.
    async fn members(&self, via: &[NodeName]) -> Result<Vec<MemberSeen>, StepError> {
        let seen = match self.ports.fleet.members(via).await {
            Ok(EtcdSeen::Members(members)) => Ok(members),
            Ok(EtcdSeen::Silent) => {
                Err(PortError::Passing { what: "etcd is silent, or has no majority".to_owned() })
            }
            Err(error) => Err(error),
        };
        seen.doing(|| "ask etcd for its members".to_owned())
    }
}
