//! Reports what a person must act on in etcd: its alarms, and how full its database is.

use std::collections::BTreeMap;

use windlass_model::{
    Alarm, Component, ETCD_QUOTA, Intent, MemberSeen, NEARLY_FULL, Note, Settings, Subject, Waiting,
};

use crate::builder::PlanBuilder;
use crate::context::Context;

/// Reports alarms and databases that are nearly full. Neither causes a restart.
pub(crate) fn report(ctx: &Context<'_>, build: &mut PlanBuilder<'_>) {
    match ctx.intent {
        Intent::Converge { .. } | Intent::Restore { .. } | Intent::Reissue { .. } => {}
        Intent::Dismantle { .. } => return,
    }
    let members = ctx.seen.etcd.members();
    let mut raised: BTreeMap<Alarm, Vec<String>> = BTreeMap::new();
    for (member, alarm) in members.iter().flat_map(|member| member.alarms.iter().map(move |it| (member, it)))
    {
        raised.entry(*alarm).or_default().push(member.name.clone());
    }
    let is_full = raised.contains_key(&Alarm::NoSpace);
    for (alarm, members) in raised {
        build.hold(Subject::Etcd, Waiting::EtcdAlarm { alarm, members }, None);
    }
    let fullest = members.iter().filter_map(|member| Some((member.db_bytes?, quota_of(ctx, member))));
    if let Some((bytes, quota)) = fullest.max_by_key(|(bytes, quota)| (bytes * 100 / quota, *bytes))
        && !is_full
        && bytes * 100 >= quota * NEARLY_FULL
    {
        build.note(Subject::Etcd, Note::EtcdNearlyFull { bytes, quota }, None);
    }
}

/// Whether any member has raised an alarm: then no member reports healthy, whichever is asked.
pub(crate) fn is_raised(ctx: &Context<'_>) -> bool {
    ctx.seen.etcd.members().iter().any(|member| !member.alarms.is_empty())
}

/// How many bytes the database of a member may have, by the arguments of its container.
fn quota_of(ctx: &Context<'_>, member: &MemberSeen) -> u64 {
    let node = ctx.node_of_peer(&member.peer_url).and_then(|node| ctx.facts(node));
    let etcd = node.and_then(|facts| facts.containers.get(Component::Etcd.as_str()));
    match etcd.map(|etcd| Settings::of(Component::Etcd, &etcd.spec)) {
        Some(Settings::Etcd { quota_bytes: Some(quota), .. }) => quota,
        _ => ETCD_QUOTA,
    }
}
