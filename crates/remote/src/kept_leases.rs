//! The leases that this run has: their signs of life, and whether any is left.

use std::sync::{Arc, Mutex, PoisonError};

use bollard::container::{AttachContainerResults, LogOutput};
use bollard::errors::Error;
use bollard::query_parameters::RemoveContainerOptionsBuilder;
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::interval;
use windlass_sidecar::BEAT;

use crate::docker::ASK_WITHIN;
use crate::link::Link;

/// The leases of this run.
#[derive(Debug, Default)]
pub(crate) struct KeptLeases {
    kept: Mutex<Vec<Kept>>,
    count: watch::Sender<Count>,
}

/// How many leases this run has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Count {
    /// It has not taken any, or has given them back.
    #[default]
    None,
    /// So many are left of those that it took.
    Left(usize),
}

/// One of them.
#[derive(Debug)]
struct Kept {
    link: Arc<Link>,
    container: String,
    beating: JoinHandle<()>,
}

impl KeptLeases {
    /// Keeps the lease of a container that has started, by signs of life to its stdin.
    pub(crate) fn keep(&self, link: Arc<Link>, container: String, attached: AttachContainerResults) {
        self.count.send_modify(|count| {
            *count = match *count {
                Count::None => Count::Left(1),
                Count::Left(left) => Count::Left(left + 1),
            };
        });
        let count = self.count.clone();
        let beating = tokio::spawn(async move {
            beat(attached).await;
            count.send_modify(|count| {
                if let Count::Left(left) = count {
                    *left = left.saturating_sub(1);
                }
            });
        });
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).push(Kept { link, container, beating });
    }

    /// Gives all of them back.
    pub(crate) async fn end(&self) {
        self.count.send_replace(Count::None);
        let kept = std::mem::take(&mut *self.kept.lock().unwrap_or_else(PoisonError::into_inner));
        let removals = kept.into_iter().map(|Kept { link, container, beating }| async move {
            beating.abort();
            remove(&link, &container).await;
        });
        join_all(removals).await;
    }

    /// Returns when the last of them is lost.
    pub(crate) async fn lost(&self) {
        let mut count = self.count.subscribe();
        // The sender is in `self`, so it waits forever where nothing is lost.
        let _ = count.wait_for(|count| *count == Count::Left(0)).await;
    }
}

/// Sends signs of life until the container ends or the connection breaks.
async fn beat(attached: AttachContainerResults) {
    let AttachContainerResults { mut input, mut output } = attached;
    let mut beats = interval(BEAT);
    loop {
        tokio::select! {
            _ = beats.tick() => {
                let sent = async { input.write_all(b".").await?; input.flush().await };
                if sent.await.is_err() {
                    return;
                }
            }
            part = output.next() => match part {
                Some(Ok::<LogOutput, Error>(_)) => {}
                Some(Err(_)) | None => return,
            }
        }
    }
}

/// Removes a container of this name; Docker may be removing it already.
pub(crate) async fn remove(link: &Link, container: &str) {
    let options = RemoveContainerOptionsBuilder::new().force(true).build();
    let _ = link.call(ASK_WITHIN, link.docker.remove_container(container, Some(options))).await;
}
