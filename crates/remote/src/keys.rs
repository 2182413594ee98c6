//! What of the ledger opens etcd and Kubernetes, made ready for use.

use std::sync::Arc;

use rustls::ClientConfig;
use windlass_model::{Ledger, StoredCert};

use crate::https::client;

/// The names in the ledger of what this needs.
const KUBE_CA: &str = "kube-ca";
const ETCD_CA: &str = "kube-etcd-ca";
const ADMIN: &str = "kube-admin";
/// Certificates that members of etcd take from a client, by their names without the node.
const ETCD_CLIENTS: [&str; 2] = ["kube-apiserver-etcd-client", "kube-etcd"];

/// Ready clients; each is absent if the ledger lacks what it needs, or cannot be used.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keys {
    pub(crate) kube: Option<Arc<ClientConfig>>,
    pub(crate) etcd: Option<Arc<ClientConfig>>,
}

impl Keys {
    pub(crate) fn of(ledger: &Ledger) -> Self {
        let certificate = |name: &str| ledger.certs.get(name);
        let ready = |authority: &str, own: Option<&StoredCert>| {
            let (authority, own) = (certificate(authority)?, own?);
            client(&authority.certificate, Some((&own.certificate, own.key.expose()))).ok()
        };
        let of_etcd = ETCD_CLIENTS
            .iter()
            .find_map(|base| ledger.certs.iter().find(|(name, _)| name.base() == *base))
            .map(|(_, stored)| stored);
        Self { kube: ready(KUBE_CA, certificate(ADMIN)), etcd: ready(ETCD_CA, of_etcd) }
    }
}
