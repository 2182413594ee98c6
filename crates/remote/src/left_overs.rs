//! Containers for single requests that runs which were interrupted left behind.

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
/// From what age on a container that answers one request is a left-over of a run that was cut off, where nobody can
/// tell whether that run lives: it may be one of another machine.
const LEFT_OVER_SECONDS: u64 = 120;

/// Removes the containers for single requests that runs which were cut off left.
pub(crate) async fn remove_left_overs(link: &Link) -> PortResult<()> {
    let filters = HashMap::from([("label", vec![labels::TRANSIENT])]);
    let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
    let lines = link
        .call(ASK_WITHIN, link.docker.list_containers(Some(options)))
        .await
        .map_err(|trouble| trouble.of(&link.node, "list containers"))?;
    let lines: Vec<Listed> = lines.into_iter().map(listed).collect();
    remove_left_overs_of(link, &lines).await;
    Ok(())
}

/// Removes those of them that are in a list.
pub(crate) async fn remove_left_overs_of(link: &Link, lines: &[Listed]) {
    let now = windlass_engine::Clock::now(&crate::clock::SystemClock).0;
    for line in lines {
        let Listed::Transient { id, run, created } = line else { continue };
        let age = now.saturating_sub(u64::try_from(*created).unwrap_or(0));
        if link.has_died(run) || age > LEFT_OVER_SECONDS {
            let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
            // Docker or another run may remove it at the same moment.
            let _ = link.call(REMOVE_WITHIN, link.docker.remove_container(id, Some(options))).await;
        }
    }
}
