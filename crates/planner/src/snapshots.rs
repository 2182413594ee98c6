//! Reports members of etcd of which there is no fresh and intact snapshot.

use windlass_model::{Component, ContainerState, Intent, Note, Subject, rolling_interval};

use crate::builder::PlanBuilder;
use crate::context::Context;

/// Reports snapshots that are overdue, fail, or do not read back, where something takes them and etcd answers: of an
/// etcd that does not, more is said than this.
pub(crate) fn report(ctx: &Context<'_>, build: &mut PlanBuilder<'_>) {
    match ctx.intent {
        Intent::Converge { .. } | Intent::Reissue { .. } => {}
        Intent::Restore { .. } | Intent::Dismantle { .. } => return,
    }
    if ctx.etcd_is_silent() {
        return;
    }
    let component = Component::EtcdRollingSnapshots;
    for node in ctx.reachable().filter(|node| node.desired.containers.contains_key(&component)) {
        let running = node.facts.containers.get(&component.container());
        let running = running.filter(|seen| seen.state == ContainerState::Running);
        let every = running.and_then(|seen| rolling_interval(&seen.spec));
        let (Some(every), Some(rolling)) = (every, &node.facts.rolling) else { continue };
        if let Some(fault) = rolling.fault(every, ctx.seen.taken_at) {
            let about = Subject::Container(node.name.clone(), component);
            build.note(about, Note::SnapshotsStale { fault }, None);
        }
    }
}
