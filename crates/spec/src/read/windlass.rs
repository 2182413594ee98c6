//! Reads `windlass`, the section that RKE 1 does not have.

use std::collections::BTreeMap;
use std::time::Duration;

use windlass_model::KubernetesVersion;

use super::nodes::flaw;
use super::{syntax, words};
use crate::report::Reports;
use crate::spec::{EndpointSpec, WindlassSpec};
use crate::view::View;
use crate::yaml::Value;

/// The API servers' own port.
const PORT: u16 = 6_443;
const DAY: u64 = 86_400;
/// `up` makes anew what has less than a month left; one that lives little longer would be made anew all the time.
const LEAST_DAYS: u64 = 60;
const MOST_DAYS: u64 = 36_500;

pub(super) fn windlass(view: View<'_, '_>, reports: &mut Reports<'_>) -> WindlassSpec {
    WindlassSpec {
        endpoint: checked(view, "endpoint", endpoint, reports),
        certificate_validity: checked(view, "certificate_validity", validity, reports),
        pod_runtime: words::pod_runtime(view),
        token_issuer: checked(view, "token_issuer", issuer, reports),
        drain_leaving: view.flag("drain_leaving"),
        snapshot_before_upgrade: view.flag("snapshot_before_upgrade"),
        ledger_in_cluster: words::ledger_in_cluster(view),
        local_ports: words::local_ports(view),
        checksums: checksums(view, reports),
        links: links(view, reports),
    }
}

/// SHA-256 sums; one that is none is reported.
fn checksums(view: View<'_, '_>, reports: &mut Reports<'_>) -> BTreeMap<String, String> {
    let path = view.path.key("checksums");
    let mut sums = view.text_map("checksums");
    for entry in view.names("checksums") {
        let Some(sum) = sums.get_mut(&*entry.key) else { continue };
        *sum = sum.strip_prefix("sha256:").unwrap_or(sum).to_lowercase();
        if sum.len() != 64 || !sum.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            reports
                .error(path.key(&entry.key), entry.span(), format!("`{}` has no SHA-256 sum", entry.key))
                .help("it has 64 hexadecimal digits: `sha256sum FILE` prints it");
        }
    }
    sums
}

/// The versions of a chain of upgrades; a name that is no version is reported.
fn links(
    view: View<'_, '_>,
    reports: &mut Reports<'_>,
) -> BTreeMap<KubernetesVersion, BTreeMap<String, String>> {
    let path = view.path.key("links");
    let mut links: BTreeMap<KubernetesVersion, BTreeMap<String, String>> = BTreeMap::new();
    for entry in view.names("links") {
        let own = path.key(&entry.key);
        let Ok(version) = entry.key.parse::<KubernetesVersion>() else {
            reports
                .error(own, entry.key_span, format!("`{}` is no version of Kubernetes", entry.key))
                .help("write it as `v1.35.4`");
            continue;
        };
        let twin = links.keys().find(|other| (other.major, other.minor) == (version.major, version.minor));
        if let Some(twin) = twin {
            reports
                .error(
                    own,
                    entry.key_span,
                    format!("`links` has two versions of v{}.{}", version.major, version.minor),
                )
                .note(format!("the other is `{twin}`; a chain goes through each minor version once"));
            continue;
        }
        let images = match &entry.value.value {
            Value::Map(entries) => View::new(entries, entry.value.span, &own).text_map_of_all(),
            _ => BTreeMap::new(),
        };
        links.insert(version, images.into_iter().filter(|(_, image)| !image.is_empty()).collect());
    }
    links
}

/// Outside services find the keys of tokens at this URL (the discovery document of `OpenID` Connect 1.0).
fn issuer(text: &str) -> Result<String, syntax::Flaw> {
    let is_url =
        text.strip_prefix("https://").is_some_and(|rest| !rest.is_empty() && !rest.contains([' ', '?', '#']));
    if is_url || text == RKE_ISSUER {
        Ok(text.to_owned())
    } else {
        Err(format!("it is a URL that begins with `https://`, or `{RKE_ISSUER}`"))
    }
}

/// The issuer of RKE 1, which is no URL.
const RKE_ISSUER: &str = "rke";

fn checked<T>(
    view: View<'_, '_>,
    name: &str,
    read: impl Fn(&str) -> Result<T, syntax::Flaw>,
    reports: &mut Reports<'_>,
) -> Option<T> {
    let text = view.text(name)?;
    flaw(view, name, text, |text| read(text).map(|_| ()), reports);
    read(text).ok()
}

fn endpoint(text: &str) -> Result<EndpointSpec, syntax::Flaw> {
    if text.contains("://") {
        return Err("it is a name or an address, perhaps with a port, and no URL".to_owned());
    }
    let is_whole_address = text.parse::<std::net::IpAddr>().is_ok();
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !is_whole_address && !text.ends_with(']') => (host, port_number(port)?),
        _ => (text, PORT),
    };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    if let Some(bare) = bare.filter(|bare| bare.parse::<std::net::Ipv6Addr>().is_err()) {
        return Err(format!("`{bare}` is no IPv6 address"));
    }
    let host = bare.unwrap_or(host);
    if host.is_empty() {
        return Err("there is nothing before its port".to_owned());
    }
    syntax::address(host)?;
    Ok(EndpointSpec { host: host.to_ascii_lowercase(), port })
}

fn port_number(text: &str) -> Result<u16, syntax::Flaw> {
    match text.parse() {
        Ok(port) if port > 0 && text.bytes().all(|byte| byte.is_ascii_digit()) => Ok(port),
        _ => Err("a port is a number from 1 to 65535".to_owned()),
    }
}

fn validity(text: &str) -> Result<Duration, syntax::Flaw> {
    let days = syntax::duration(text)?.as_secs() / DAY;
    if days < LEAST_DAYS {
        return Err(format!("it is less than {LEAST_DAYS} days, {}h", LEAST_DAYS * 24));
    }
    if days > MOST_DAYS {
        return Err(format!("it is more than {MOST_DAYS} days, {}h", MOST_DAYS * 24));
    }
    Ok(Duration::from_secs(days * DAY))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_host_perhaps_with_a_port() {
        let shown = |text| endpoint(text).map(|endpoint| endpoint.to_string());
        for (text, expected) in [
            ("API.example.org", "api.example.org:6443"),
            ("api.example.org:443", "api.example.org:443"),
            ("203.0.113.9", "203.0.113.9:6443"),
            ("203.0.113.9:8443", "203.0.113.9:8443"),
            ("fd00::9", "[fd00::9]:6443"),
            ("[fd00::9]", "[fd00::9]:6443"),
            ("[fd00::9]:443", "[fd00::9]:443"),
        ] {
            assert_eq!(shown(text).as_deref(), Ok(expected));
        }
        for wrong in
            ["https://api", "api:", "api:0", "api:+1", "api:70000", ":443", "[api]:443", "a b", "a/b"]
        {
            assert!(endpoint(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_validity_is_whole_days_and_longer_than_two_months() {
        let days = |text| validity(text).map(|validity| validity.as_secs() / DAY);
        assert_eq!([days("87600h"), days("8770h")], [Ok(3_650), Ok(365)]);
        for wrong in ["365d", "1h", "1439h", "876024h"] {
            assert!(validity(wrong).is_err(), "{wrong}");
        }
    }
}
