//! What the values of flags must be: one that a component does not start with is reported before it is tried.
//!
//! An error is only what the flag's own parser or the component's own check refuses in every version; what depends on
//! what windlass knows of versions is a warning.

mod api_server;
mod apis;
mod etcd;
mod flaw;
mod formats;
mod gates;
mod given;
mod go;
mod lists;
mod managers;
mod table;
pub(crate) mod together;

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use windlass_addons::Severity;
use windlass_model::Component;
use windlass_spec::{PortRange, nearest};

use self::flaw::{Flaw, doubtful, refused};
use self::table::{Choice, Form, Limit, TABLE};
use crate::catalog::Minor;
use crate::flags::Words;

/// What is wrong with the value of a flag, if anything; `flag` has no dashes before it and `-` within.
///
/// The minor version is that of the component, of Kubernetes or of etcd; none where it is not known.
pub(crate) fn flaw(component: Component, flag: &str, value: &str, minor: Option<Minor>) -> Option<Flaw> {
    if let Some(choice) = choice_of(component, flag) {
        return choice.flaw(component, value, minor);
    }
    match (component, flag, minor) {
        (Component::Etcd, "feature-gates", minor) => gates::gates_of_etcd(value, minor),
        (_, "feature-gates", Some(minor)) => gates::gates(component, value, minor),
        (
            Component::KubeApiserver,
            "enable-admission-plugins" | "disable-admission-plugins" | "admission-control",
            Some(minor),
        ) => {
            lists::unseparated(value).or_else(|| lists::stray(value)).or_else(|| gates::plugins(value, minor))
        }
        (Component::KubeControllerManager, "controllers", Some(minor)) => lists::unseparated(value)
            .or_else(|| lists::stray(value))
            .or_else(|| gates::controllers(value, minor)),
        (Component::KubeApiserver, "runtime-config", _) => apis::runtime_config(value),
        (
            Component::Kubelet,
            "cpu-manager-policy-options" | "topology-manager-policy-options",
            Some(minor),
        ) => managers::option(flag, value, minor),
        (Component::Kubelet, "reserved-memory", _) => managers::reserved_memory(value).err(),
        _ => {
            let form = form_of(component, flag)?;
            form.flaw(value, minor)
                .map(|found| as_certain(component, flag, found))
                .or_else(|| limit_of(component, flag)?.flaw(form, value, minor))
                .or_else(|| negative_time(form, flag, value))
        }
    }
}

/// The controller manager goes on without a range of Services that it cannot read.
fn as_certain(component: Component, flag: &str, found: Flaw) -> Flaw {
    let is_read = component != Component::KubeControllerManager || flag != "service-cluster-ip-range";
    if is_read { found } else { Flaw { severity: Severity::Warning, ..found } }
}

/// A time below 0, with which the component goes on: it never waits, or gives up at once.
fn negative_time(form: Form, flag: &str, value: &str) -> Option<Flaw> {
    let is_negative = form == Form::Duration && go::duration(value).is_some_and(|seconds| seconds < 0.0);
    if is_negative && !TABLE.signed_durations.has(flag) {
        doubtful("is less than 0", "write a time above 0, or take it out")
    } else {
        None
    }
}

fn choice_of(component: Component, flag: &str) -> Option<&'static Choice> {
    let shared = || TABLE.shared_words.get(flag).filter(|_| component != Component::Etcd);
    TABLE.words.get(&component).and_then(|choices| choices.get(flag)).or_else(shared)
}

fn limit_of(component: Component, flag: &str) -> Option<&'static Limit> {
    TABLE.limits.get(&component)?.get(flag)
}

fn form_of(component: Component, flag: &str) -> Option<Form> {
    let find = |forms: &BTreeMap<Form, Words>| {
        forms.iter().find(|(_, flags)| flags.has(flag)).map(|(form, _)| *form)
    };
    TABLE.only.get(&component).and_then(find).or_else(|| find(&TABLE.forms))
}

impl Form {
    fn flaw(self, value: &str, minor: Option<Minor>) -> Option<Flaw> {
        let is_right = match self {
            Self::Resources => return lists::resources(value),
            Self::Thresholds => return lists::thresholds(value),
            Self::Reclaims => return lists::reclaims(value),
            Self::Grace => return lists::grace(value),
            Self::Labels => return lists::node_labels(value, minor?),
            Self::Taints => return lists::taints(value),
            Self::Ranges => return lists::families(value),
            Self::NodePortRanges => return lists::node_port_ranges(value, minor),
            Self::NodeAddresses => return node_addresses(value, minor),
            Self::Shares => return lists::shares(value),
            Self::AuthToken => return formats::auth_token(value),
            Self::Urls => return lists::urls(value),
            Self::BindUrls => return lists::bind_urls(value),
            Self::Addresses => return addresses(value),
            Self::Sysctls => return formats::sysctls(value),
            Self::CacheSizes => return formats::cache_sizes(value),
            Self::EtcdOverrides => return formats::etcd_overrides(value),
            Self::CertKey => return formats::cert_key(value),
            Self::Patterns => return formats::patterns(value),
            Self::Boolean => go::is_boolean(value),
            Self::Integer => go::integer(value).is_some(),
            Self::Number => value.parse::<f64>().is_ok(),
            Self::Duration => go::duration(value).is_some(),
            Self::Quantity => go::quantity(value).is_some(),
            Self::Address => value.is_empty() || go::address(value).is_some(),
            Self::HostPort => value.is_empty() || is_host_port(value),
            // The API server takes no blanks off the two ends.
            Self::Ports => !value.trim().contains(char::is_whitespace) && value.parse::<PortRange>().is_ok(),
            Self::Port => value.is_empty() || value.parse::<u16>().is_ok(),
            Self::Severity => {
                go::integer(value).is_some()
                    || ["INFO", "WARNING", "ERROR", "FATAL"].contains(&value.to_ascii_uppercase().as_str())
            }
            Self::Cpus => go::is_cpu_set(value),
            Self::HttpsUrl => value.starts_with("https://"),
            Self::Retention => {
                go::integer(value).is_some_and(|number| number >= 0) || go::duration(value).is_some()
            }
            Self::Levels => lists::parts(value).all(|part| {
                part.split_once('=')
                    .is_some_and(|(name, level)| !name.is_empty() && go::integer(level).is_some())
            }),
        };
        if is_right { None } else { refused(format!("is {self}"), self.example(value)) }
    }

    /// A right value, in view of a wrong one.
    fn example(self, value: &str) -> String {
        let bare = go::integer(value).is_some();
        let help = match self {
            Self::Boolean => "write `true` or `false`",
            Self::Integer => "write digits alone",
            Self::Number => "write a number such as `50` or `0.5`",
            Self::Duration if go::is_too_long(value) => "the longest is `2562047h`, some 292 years",
            Self::Duration if bare => {
                return format!("write a unit behind it: `{value}ms`, `{value}s` or `{value}m`");
            }
            Self::Duration | Self::Retention
                if value.strip_suffix('d').is_some_and(|days| go::integer(days).is_some()) =>
            {
                "there is no unit `d`: write days in hours"
            }
            Self::Duration => "write numbers with units, such as `1h30m` or `40s`",
            Self::Retention => "write a number, or a duration such as `12h`",
            Self::Quantity => "write a number with a unit, such as `10Mi`",
            Self::HostPort => {
                "write an address such as `127.0.0.1`, or one with a port such as `127.0.0.1:10256`"
            }
            Self::Ports => "write the first and the last port, as in `30000-32767`",
            Self::Port => "write a number up to 65535",
            Self::Severity => "write one of INFO, WARNING, ERROR, FATAL",
            Self::Cpus => "write numbers of processors, such as `0-1,4`",
            Self::HttpsUrl => "write it like `https://accounts.example.org`",
            Self::Levels => "write it like `proxier=4,server=2`",
            _ => "write an address such as `10.0.0.1`",
        };
        help.to_owned()
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Boolean => "neither true nor false",
            Self::Integer => "no whole number",
            Self::Number => "no number",
            Self::Duration => "no duration",
            Self::Quantity => "no quantity",
            Self::Resources
            | Self::Thresholds
            | Self::Reclaims
            | Self::Grace
            | Self::Shares
            | Self::Levels => "no such list",
            Self::Address | Self::Addresses | Self::NodeAddresses | Self::HostPort => "no IP address",
            Self::Ranges | Self::NodePortRanges => "no range of addresses",
            Self::Port => "no port",
            Self::Severity => "no severity of a log",
            Self::AuthToken => "no kind of tokens",
            Self::Ports => "no range of ports",
            Self::Cpus => "no set of processors",
            Self::Labels => "no label",
            Self::Taints => "no taint",
            Self::Urls | Self::BindUrls => "no URL",
            Self::HttpsUrl => "no URL that begins with `https://`",
            Self::Sysctls => "no kernel setting",
            Self::CacheSizes => "no size of a cache",
            Self::EtcdOverrides => "no list of servers",
            Self::CertKey => "no certificate with its key",
            Self::Patterns => "no regular expression",
            Self::Retention => "neither a number nor a duration",
        })
    }
}

/// A list from which kubelet leaves out what it cannot read.
fn addresses(value: &str) -> Option<Flaw> {
    let wrong = lists::parts(value).find(|part| go::address(part).is_none())?;
    doubtful(
        format!("has `{wrong}`, which is no IP address"),
        "the component goes on without it: write an address",
    )
}

/// The first version whose kubelet ends with addresses that are no pair.
const PAIRS: Minor = Minor(1, 20);

/// One address, or one of each family.
///
/// Source: `ParseNodeIPArgument` in `k8s.io/component-helpers/node/util/ips.go`.
fn node_addresses(value: &str, minor: Option<Minor>) -> Option<Flaw> {
    let given: Vec<IpAddr> = lists::parts(value).filter_map(go::address).collect();
    let is_pair = matches!(given[..], [one, other] if one.is_ipv4() != other.is_ipv4());
    if given.len() > 1 && !is_pair {
        let tell = if minor.is_some_and(|minor| PAIRS <= minor) { refused } else { doubtful };
        return tell(
            "is neither one address nor one of each family",
            "write one, or one of IPv4 and one of IPv6",
        );
    }
    addresses(value)
}

/// An address, or one with a port; IPv6 in brackets then.
fn is_host_port(value: &str) -> bool {
    let with_port = || {
        let (host, port) = value.rsplit_once(':')?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        port.parse::<u16>().ok().and(go::address(host))
    };
    go::address(value).or_else(with_port).is_some()
}

impl Limit {
    fn flaw(&self, form: Form, value: &str, minor: Option<Minor>) -> Option<Flaw> {
        let Self { least, most, since } = self;
        let number = number(form, value)?;
        let is_below =
            least.as_deref().and_then(|least| self::number(form, least)).is_some_and(|least| number < least);
        let is_above =
            most.as_deref().and_then(|most| self::number(form, most)).is_some_and(|most| number > most);
        let (least, most) = (least.as_deref().unwrap_or_default(), most.as_deref().unwrap_or_default());
        let what = match (is_below, is_above) {
            (true, _) if least == "1ns" => "is not above 0".to_owned(),
            (true, _) => format!("is less than {least}"),
            (_, true) => format!("is more than {most}"),
            _ => return None,
        };
        let help = match (least, most) {
            ("1ns", _) => "write a time above 0".to_owned(),
            // The largest number that fits says nothing to anybody.
            (least, "" | "2147483647") => format!("write {least} or more"),
            ("", most) => format!("write {most} or less"),
            (least, most) => format!("write a value from {least} to {most}"),
        };
        let is_certain = since.is_none_or(|since| minor.is_some_and(|minor| since <= minor));
        if is_certain { refused(what, help) } else { doubtful(what, help) }
    }
}

/// A number or a duration in seconds.
#[expect(clippy::cast_precision_loss, reason = "limits are small, or far from what is given")]
fn number(form: Form, value: &str) -> Option<f64> {
    match form {
        Form::Integer => go::integer(value).map(|number| number as f64),
        Form::Number => value.parse().ok(),
        Form::Duration => go::duration(value),
        _ => None,
    }
}

/// Of how many words all are named.
const MOST_NAMED: usize = 12;

impl Choice {
    fn flaw(&self, component: Component, value: &str, minor: Option<Minor>) -> Option<Flaw> {
        if let Some(flaw) = lists::unseparated(value).or_else(|| lists::stray(value)).filter(|_| self.list) {
            let severity = if self.doubtful { Severity::Warning } else { flaw.severity };
            return Some(Flaw { severity, ..flaw });
        }
        let given: Vec<&str> = if self.list { lists::parts(value).collect() } else { vec![value] };
        let tell = if self.doubtful { doubtful } else { refused };
        if let Some(word) = self.doubled(&given) {
            return tell(format!("has `{word}` twice"), "leave one of the two out".to_owned());
        }
        for word in given.into_iter().filter(|word| !word.is_empty()) {
            if self.is_only_capital(word) && self.caseless.is_some() {
                let since = self.caseless.filter(|since| minor.is_some_and(|minor| minor < *since));
                if since.is_some() {
                    return tell(
                        "has capital letters".to_owned(),
                        format!("write `{}`", word.to_ascii_lowercase()),
                    );
                }
                continue;
            }
            if !self.words.has(word) {
                let what = if self.list {
                    format!("has `{word}`, which {component} does not know")
                } else {
                    format!("is nothing that {component} knows")
                };
                return tell(what, self.other(word, minor));
            }
            let Some(minor) = minor else { continue };
            if let Some(gone) = self.gone.get(word).filter(|gone| **gone <= minor) {
                return tell(format!("is gone from {gone} on"), self.all(minor.into()));
            }
            if let Some(since) = self.since.get(word).filter(|since| minor < **since) {
                return tell(format!("is known from {since} on"), self.all(minor.into()));
            }
        }
        None
    }

    /// Whether a word is known but for its capital letters.
    fn is_only_capital(&self, word: &str) -> bool {
        !self.words.has(word) && self.words.has(&word.to_ascii_lowercase())
    }

    /// The first word that is in a list twice where none may be.
    fn doubled<'v>(&self, given: &[&'v str]) -> Option<&'v str> {
        let again = |(index, word): (usize, &&'v str)| given[..index].contains(word).then_some(*word);
        given.iter().enumerate().filter(|_| self.unique).find_map(again)
    }

    /// What may be meant by a word that is not known.
    fn other(&self, word: &str, minor: Option<Minor>) -> String {
        match nearest(word, self.of(minor)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => self.all(minor),
        }
    }

    /// The words of a version, or all where it is not known.
    fn of(&self, minor: Option<Minor>) -> impl Iterator<Item = &str> {
        let is_there = move |word: &&String| {
            minor.is_none_or(|minor| {
                self.gone.get(*word).is_none_or(|gone| minor < *gone)
                    && self.since.get(*word).is_none_or(|since| *since <= minor)
            })
        };
        self.words.0.iter().filter(is_there).map(String::as_str)
    }

    fn all(&self, minor: Option<Minor>) -> String {
        let words: Vec<&str> = self.of(minor).collect();
        match words[..] {
            [single] => format!("write `{single}`"),
            [first, ..] if words.len() > MOST_NAMED => format!("write names such as {first}"),
            _ => format!("write one of {}", words.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use windlass_model::KubernetesVersion;

    use super::*;

    #[test]
    fn every_flag_of_the_table_is_one_of_a_component() {
        use crate::flags::{Fate, fate};
        let components = [
            Component::KubeApiserver,
            Component::KubeControllerManager,
            Component::KubeScheduler,
            Component::Kubelet,
            Component::KubeProxy,
            Component::Etcd,
        ];
        let is_known = |component, flag: &str| !matches!(fate(component, flag, None), Fate::Unknown(_));
        for flag in TABLE.forms.values().flat_map(|words| &words.0).chain(TABLE.shared_words.keys()) {
            assert!(components.into_iter().any(|component| is_known(component, flag)), "{flag}");
        }
        for (component, forms) in &TABLE.only {
            for flag in forms.values().flat_map(|words| &words.0) {
                assert!(is_known(*component, flag), "{component} {flag}");
            }
        }
        for (component, limits) in &TABLE.limits {
            for (flag, Limit { least, most, .. }) in limits {
                let form =
                    form_of(*component, flag).unwrap_or_else(|| panic!("{component} {flag} has no form"));
                for end in [least, most].into_iter().flatten() {
                    assert!(number(form, end).is_some(), "{component} {flag} {end}");
                }
                assert!(is_known(*component, flag), "{component} {flag}");
            }
        }
        for (component, choices) in &TABLE.words {
            for flag in choices.keys() {
                assert!(is_known(*component, flag), "{component} {flag}");
            }
        }
    }

    #[test]
    fn windlass_gives_no_flag_a_value_that_is_wrong() {
        use crate::catalog::{Catalog, Feature, Setting};
        for minor in 8..=37 {
            let version = KubernetesVersion::new(1, minor, 9);
            let features = Feature::ALL.into_iter().collect();
            let setting = Setting { version: &version, etcd: None, features: &features };
            for component in Component::ALL {
                let recipe = Catalog::builtin().recipe(component).expect("the catalog knows all components");
                for template in recipe.flags.iter().filter_map(|entry| entry.text_in(&setting)) {
                    let Some(text) = template.fill(|name| (name == "more_admission_plugins").then_some(""))
                    else {
                        continue;
                    };
                    let Some((flag, value)) = text.trim_start_matches('-').split_once('=') else { continue };
                    assert_eq!(
                        flaw(
                            component,
                            flag,
                            value,
                            (component != Component::Etcd).then(|| Minor::of(&version))
                        ),
                        None,
                        "{component} {text} {version}"
                    );
                }
            }
        }
    }
}
