//! Containers for single requests that interrupted runs left behind.

use std::collections::HashMap;
use std::time::Duration;

use bollard::query_parameters::{ListContainersOptionsBuilder, RemoveContainerOptionsBuilder};
use windlass_engine::PortResult;

use crate::docker::ASK_WITHIN;
use crate::labels;
use crate::link::Link;
use crate::seen::{Listed, listed};

/// How long the removal of one container may take.
const REMOVE_WITHIN: Duration = Duration::from_secs(60);
/// The age from which on a container for a single request counts as a left-over of an interrupted run, where
/// it is unknown whether that run is still alive: it may be one of another machine.
const LEFT_OVER_SECONDS: u64 = 120;

/// Removes the containers for single requests that interrupted runs left behind.
pub(crate) async fn remove_left_overs(link: &Link) -> PortResult<()> {
    let filters = HashMap::from([("label", vec![labels::TRANSIENT])]);
    let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
    let lines = link
        .call(ASK_WITHIN, link.docker.list_containers(Some(options)))
        .await
        .map_err(|error| error.of(&link.node, "list containers"))?;
    let lines: Vec<Listed> = lines.into_iter().map(listed).collect();
    remove_left_overs_of(link, &lines).await;
    Ok(())
}

/// Removes those of them that are in a list. Their age is measured by Docker's own clock; those of this run
/// are not removed.
pub(crate) async fn remove_left_overs_of(link: &Link, lines: &[Listed]) {
    let others: Vec<(&String, &String, i64)> = lines
        .iter()
        .filter_map(|line| match line {
            Listed::Transient { id, run, created } if run != link.run_name() => Some((id, run, *created)),
            _ => None,
        })
        .collect();
    if others.is_empty() {
        return;
    }
    let info = link.call(ASK_WITHIN, link.docker.info()).await.ok();
    let now = info.and_then(|info| crate::clock::parse(&info.system_time?));
    for (id, run, created) in others {
        let created = u64::try_from(created).unwrap_or(u64::MAX);
        let is_old = now.is_some_and(|now| now.0.saturating_sub(created) > LEFT_OVER_SECONDS);
        if link.has_died(run) || is_old {
            let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
            // Docker or another run may remove it at the same time.
            let _ = link.call(REMOVE_WITHIN, link.docker.remove_container(id, Some(options))).await;
        }
    }
}
