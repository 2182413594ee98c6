//! `windlass`: the keys that RKE 1 does not have.

use std::fmt;
use std::net::Ipv6Addr;
use std::time::Duration;

use serde::Serialize;

/// `windlass`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct WindlassSpec {
    /// `endpoint`: the name or address that stands for all API servers, such as a load balancer's.
    pub endpoint: Option<EndpointSpec>,
    /// `certificate_validity`: how long certificates that are no authority's are valid; whole days, at least 60.
    pub certificate_validity: Option<Duration>,
}

/// A name or address with a port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EndpointSpec {
    /// A host name or an address, without brackets.
    pub host: String,
    /// The port; never zero.
    pub port: u16,
}

/// As in a URL: `api.example.org:6443`, `[fd00::1]:6443`.
impl fmt::Display for EndpointSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.parse::<Ipv6Addr>().is_ok() {
            write!(f, "[{host}]:{port}")
        } else {
            write!(f, "{host}:{port}")
        }
    }
}
