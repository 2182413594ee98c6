//! Stops and removes the pods that containerd runs, through the interface that kubelet uses (CRI,
//! `k8s.io/cri-api/pkg/apis/runtime/v1/api.proto`).
//!
//! The messages are written by hand, as in `etcd.rs`, with the few fields that are needed.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::time::Duration;

use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;
use windlass_model::{CONTAINERD_SOCKET, FilePath};

use crate::fault::{At, Fault};

/// A runtime on the same machine answers at once, or not at all.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a pod may take to stop: containerd kills its processes at once (`StopPodSandbox` is forcible) and
/// removes its network with the plugins.
const STOP: Duration = Duration::from_secs(40);

#[derive(Clone, PartialEq, Eq, prost::Message)]
struct ListPodSandboxRequest {}

#[derive(Clone, PartialEq, Eq, prost::Message)]
struct ListPodSandboxResponse {
    #[prost(message, repeated, tag = "1")]
    items: Vec<PodSandbox>,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
struct PodSandbox {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(message, optional, tag = "2")]
    metadata: Option<PodSandboxMetadata>,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
struct PodSandboxMetadata {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    uid: String,
    #[prost(string, tag = "3")]
    namespace: String,
}

/// The request of `StopPodSandbox` and of `RemovePodSandbox`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
struct PodSandboxRequest {
    #[prost(string, tag = "1")]
    pod_sandbox_id: String,
}

#[derive(Clone, PartialEq, Eq, prost::Message)]
struct Nothing {}

/// Removes the pods of this kubelet.
pub(crate) fn remove(kubelet: &FilePath) -> Result<(), Fault> {
    if !Path::new(CONTAINERD_SOCKET).exists() {
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().at(CONTAINERD_SOCKET)?;
    runtime.block_on(remove_from(&format!("unix://{CONTAINERD_SOCKET}"), &pods_of(kubelet)?))
}

/// The ids of the pods of which a kubelet has a directory.
fn pods_of(kubelet: &FilePath) -> Result<BTreeSet<String>, Fault> {
    let directory = format!("{kubelet}/pods");
    match std::fs::read_dir(&directory) {
        Err(error) if crate::look::is_absent(&error) => Ok(BTreeSet::new()),
        entries => entries
            .and_then(|entries| {
                entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
            })
            .at(&directory),
    }
}

async fn remove_from(endpoint: &str, ours: &BTreeSet<String>) -> Result<(), Fault> {
    let fault = |error: io::Error| Err(error).at(CONTAINERD_SOCKET);
    let endpoint = Endpoint::from_shared(endpoint.to_owned())
        .map_err(io::Error::other)
        .at(CONTAINERD_SOCKET)?
        .connect_timeout(CONNECT);
    // Where nothing listens, its containers do not run.
    let Ok(channel) = endpoint.connect().await else { return Ok(()) };
    let listed: ListPodSandboxResponse =
        match call(&channel, "ListPodSandbox", ListPodSandboxRequest {}, CONNECT).await {
            Ok(listed) => listed,
            // Its CRI is switched off, so it has run no pod of kubelet.
            Err(status) if status.code() == Code::Unimplemented => return Ok(()),
            Err(status) => return fault(refused("list its pods", &status)),
        };
    let is_ours = |pod: &PodSandbox| pod.metadata.as_ref().is_some_and(|of| ours.contains(&of.uid));
    let mut removals = tokio::task::JoinSet::new();
    for pod in listed.items.into_iter().filter(is_ours) {
        let channel = channel.clone();
        removals.spawn(async move { remove_pod(&channel, pod).await });
    }
    let mut first = Ok(());
    while let Some(removed) = removals.join_next().await {
        let removed = removed.map_err(io::Error::other).and_then(|removed| removed);
        first = first.and(removed);
    }
    first.or_else(fault)
}

/// Stops a pod and removes it; a missing one has been removed.
async fn remove_pod(channel: &Channel, pod: PodSandbox) -> io::Result<()> {
    let metadata = pod.metadata.unwrap_or_default();
    for (method, what) in [("StopPodSandbox", "stop"), ("RemovePodSandbox", "remove")] {
        let request = PodSandboxRequest { pod_sandbox_id: pod.id.clone() };
        match call::<_, Nothing>(channel, method, request, STOP).await {
            Err(status) if status.code() != Code::NotFound => {
                let what = format!("{what} the pod {}/{}", metadata.namespace, metadata.name);
                return Err(refused(&what, &status));
            }
            Ok(Nothing {}) | Err(_) => {}
        }
    }
    Ok(())
}

async fn call<Q, A>(channel: &Channel, method: &str, request: Q, within: Duration) -> Result<A, Status>
where
    Q: prost::Message + Send + Sync + 'static,
    A: prost::Message + Default + Send + Sync + 'static,
{
    let mut grpc = Grpc::new(channel.clone());
    grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let path = format!("/runtime.v1.RuntimeService/{method}");
    let path = path.parse().expect("the path of the call is a path of a URL");
    let mut request = Request::new(request);
    request.set_timeout(within);
    let codec: ProstCodec<Q, A> = ProstCodec::default();
    Ok(grpc.unary(request, path, codec).await?.into_inner())
}

fn refused(what: &str, status: &Status) -> io::Error {
    io::Error::other(format!("containerd does not {what}: {}", status.message()))
}
