//! The steps that change objects of add-ons in the cluster, and that rewrite Secrets; and the wait for their pods.

use windlass_model::{AddonKind, DesiredObject, ObjectRef, ObjectsSeen, row_of};

use crate::ports::{Clock, Fleet, LedgerStore, Minter, PortError};
use crate::run::Run;
use crate::step_error::{Doing, Done, StepError, Unapplied, accept_already_so};

/// How many reasons of pods a wait names.
const NAMED_REASONS: usize = 3;

impl<F: Fleet, L: LedgerStore, M: Minter, C: Clock> Run<'_, F, L, M, C> {
    /// Records all of them first: so every object of ours in the API server is known as ours, wherever this
    /// is interrupted.
    pub(crate) async fn apply_objects(&self, addon: AddonKind, objects: &[DesiredObject]) -> Done {
        let fleet = self.ports.fleet;
        if addon == AddonKind::Manifests {
            return self.apply_manifests(objects).await;
        }
        let refs: Vec<ObjectRef> = objects.iter().map(|desired| desired.object.clone()).collect();
        fleet.note_objects(&refs, &[]).await.doing(|| format!("note the objects of {addon}"))?;
        for desired in objects {
            fleet.apply_object(desired).await.doing(|| format!("apply {}", desired.object))?;
        }
        Ok(())
    }

    /// Applies all that can be applied, and says of each of the others why not.
    ///
    /// Jobs are recorded after they were applied: a Job that is recorded and gone has done its work.
    async fn apply_manifests(&self, objects: &[DesiredObject]) -> Done {
        let fleet = self.ports.fleet;
        let doing = || "note the objects of manifests".to_owned();
        let refs: Vec<ObjectRef> = objects
            .iter()
            .filter(|desired| !desired.object.is_job())
            .map(|desired| desired.object.clone())
            .collect();
        fleet.note_objects(&refs, &[]).await.doing(doing)?;
        let mut failed = Vec::new();
        for desired in objects {
            match fleet.apply_object(desired).await {
                Ok(()) if desired.object.is_job() => {
                    fleet.note_objects(std::slice::from_ref(&desired.object), &[]).await.doing(doing)?;
                }
                Ok(()) => {}
                Err(error @ PortError::OutOfSight { .. }) => {
                    return Err(error).doing(|| format!("apply {}", desired.object));
                }
                Err(error) => failed.push(Unapplied {
                    from: desired.from.as_deref().unwrap_or_default().to_owned(),
                    object: desired.object.to_string(),
                    error,
                }),
            }
        }
        if failed.is_empty() { Ok(()) } else { Err(StepError::Manifests { of: objects.len(), failed }) }
    }

    /// Page by page: interrupted, it begins again, and what is stored as it should be is not written again.
    pub(crate) async fn rewrite_secrets(&self) -> Done {
        let mut rest = None;
        loop {
            let page = self.ports.fleet.rewrite_secrets(rest.as_deref()).await;
            rest = page.doing(|| "rewrite Secrets".to_owned())?;
            if rest.is_none() {
                return Ok(());
            }
        }
    }

    /// Deletes their record when all of them are deleted.
    pub(crate) async fn delete_objects(&self, objects: &[ObjectRef]) -> Done {
        let fleet = self.ports.fleet;
        for object in objects {
            let deleted = fleet.delete_object(object).await;
            accept_already_so(deleted).doing(|| format!("delete {object}"))?;
        }
        fleet.note_objects(&[], objects).await.doing(|| "forget deleted objects".to_owned())
    }

    /// Why the pods of these objects are not ready; none if all of them are.
    pub(crate) async fn look_at_addon(
        &self,
        objects: &[ObjectRef],
        may_miss: usize,
    ) -> Result<Option<String>, PortError> {
        let fleet = self.ports.fleet;
        let seen = fleet.objects(objects).await?;
        if seen == ObjectsSeen::Unknown {
            return Ok(Some("no API server answers".to_owned()));
        }
        let mut missing = Vec::new();
        for object in objects {
            let Some(found) = seen.get(object) else {
                missing.push(format!("{object} is not there"));
                continue;
            };
            let Some(pods) = found.pods() else { continue };
            let may_miss = if &*object.kind == "DaemonSet" { may_miss as u64 } else { 0 };
            if pods.ready + may_miss < pods.of {
                let why = fleet.why_pods_wait(object).await.unwrap_or_default();
                let why =
                    if why.is_empty() { String::new() } else { format!(" ({})", row_of(why, NAMED_REASONS)) };
                missing.push(format!("{object}: {pods}{why}"));
            }
        }
        Ok((!missing.is_empty()).then(|| missing.join("; ")))
    }
}
