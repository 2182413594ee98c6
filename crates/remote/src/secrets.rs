//! Secrets are read and written as they are, so that an API server stores them with its first key.
//!
//! Source: <https://kubernetes.io/docs/tasks/administer-cluster/encrypt-data/>, "Ensure all relevant data are encrypted".
//! An object that is stored so already is not written again.

use futures_util::stream::{self, TryStreamExt as _};
use hyper::Method;
use serde::Deserialize;
use serde_json::{Map, Value};
use windlass_engine::{PortError, PortResult};

use crate::docker_error::lasting;
use crate::fleet::RemoteFleet;
use crate::https::Call;
use crate::kube::{Page, refused, understood};

/// How many Secrets are read at once: each may have a megabyte.
const PAGE: usize = 50;
/// How many are written at once.
const WRITES_AT_ONCE: usize = 8;

/// A Secret as it is; nothing of it but its name is ever shown.
#[derive(Deserialize)]
struct Whole {
    metadata: Map<String, Value>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

impl Whole {
    fn text(&self, key: &str) -> &str {
        self.metadata.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    fn body(mut self) -> Value {
        self.rest.insert("apiVersion".to_owned(), "v1".into());
        self.rest.insert("kind".to_owned(), "Secret".into());
        self.rest.insert("metadata".to_owned(), Value::Object(self.metadata));
        Value::Object(self.rest)
    }
}

impl RemoteFleet {
    /// A page of all Secrets, after the rest of an earlier one.
    pub(crate) async fn rewrite_page(&self, rest: Option<&str>) -> PortResult<Option<String>> {
        let rest = rest.map(|rest| format!("&continue={rest}")).unwrap_or_default();
        let path = format!("/api/v1/secrets?limit={PAGE}{rest}");
        let reply = self.api(|| Call::get(&path)).await?;
        match reply.status {
            200 => {}
            // The list is too old to go on with: the next try begins at its beginning.
            410 => return Err(PortError::Passing { what: "the list of Secrets has expired".to_owned() }),
            _ => return Err(refused("list Secrets", &reply)),
        }
        let Page { metadata, items } = understood::<Page<Whole>>(&reply)?;
        stream::iter(items.into_iter().map(|secret| Ok::<_, PortError>(self.rewrite(secret))))
            .try_buffer_unordered(WRITES_AT_ONCE)
            .try_collect::<()>()
            .await?;
        Ok(metadata.rest.filter(|rest| !rest.is_empty()))
    }

    async fn rewrite(&self, secret: Whole) -> PortResult<()> {
        let (namespace, name) = (secret.text("namespace").to_owned(), secret.text("name").to_owned());
        let path = format!("/api/v1/namespaces/{namespace}/secrets/{name}");
        let text = secret.body().to_string().into_bytes();
        let body = || Some(("application/json", text.clone()));
        let reply = self.api(|| Call { method: Method::PUT, body: body(), ..Call::get(&path) }).await?;
        match reply.status {
            // Who changed it meanwhile has written it as all are written now; one that is deleted is not stored.
            200 | 201 | 404 | 409 => Ok(()),
            // The answer may quote what is in it.
            429 | 500 | 502..=504 => Err(PortError::Passing {
                what: format!("rewrite the Secret {namespace}/{name}: HTTP status {}", reply.status),
            }),
            status => Err(lasting(format!("rewrite the Secret {namespace}/{name}: HTTP status {status}"))),
        }
    }
}
