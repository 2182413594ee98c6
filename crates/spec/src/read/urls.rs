//! The URLs of an external etcd, which the API servers get as they are written.

/// What is wrong with a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UrlFlaw {
    /// Completes a sentence that begins with the URL: "is no …".
    pub(super) what: &'static str,
    pub(super) help: String,
    /// Whether no etcd at all is reached by it.
    pub(super) is_certain: bool,
}

/// What is wrong with one text under `external_urls`; several URLs with commas between are what RKE 1 made of the list.
pub(super) fn external_url_flaw(text: &str) -> Option<UrlFlaw> {
    text.split(',').find_map(flaw)
}

fn flaw(url: &str) -> Option<UrlFlaw> {
    let like = || "write it like `https://etcd-1.example.org:2379`".to_owned();
    let tell = |what, help, is_certain| Some(UrlFlaw { what, help, is_certain });
    if url.is_empty() {
        return tell("has a comma with nothing beside it", like(), false);
    }
    if url.contains(char::is_whitespace) {
        return tell("has a blank in it", like(), false);
    }
    let Some((scheme, rest)) = url.split_once("://") else {
        return tell("is no URL", like(), false);
    };
    if !matches!(scheme, "http" | "https") {
        return tell("begins with neither http:// nor https://", like(), false);
    }
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, Some(port)),
        _ => (host, None),
    };
    if name.is_empty() {
        return tell("names no host", like(), true);
    }
    match port {
        None => {
            return tell(
                "has no port: 443 is asked, and etcd's own is 2379",
                format!("write `{scheme}://{name}:2379`"),
                false,
            );
        }
        Some(port) if !port.parse::<u16>().is_ok_and(|port| port > 0) => {
            return tell("has no valid port", "a port is a number from 1 to 65535".to_owned(), true);
        }
        Some(_) => {}
    }
    if path.is_empty() {
        None
    } else {
        tell(
            "has a path, which no etcd has",
            "write it without; the prefix of keys is `path` of `services.etcd`".to_owned(),
            false,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_an_external_etcd_have_a_scheme_and_a_port() {
        for right in [
            "https://etcd-1:2379",
            "http://10.0.0.1:2379/",
            "https://[fd00::1]:2379",
            "https://a:1,https://b:2",
        ] {
            assert_eq!(external_url_flaw(right), None, "{right}");
        }
        for (wrong, what) in [
            ("etcd-1:2379", "is no URL"),
            ("etcd://etcd-1:2379", "begins with neither http:// nor https://"),
            ("https://etcd-1", "has no port: 443 is asked, and etcd's own is 2379"),
            ("https://[fd00::1]", "has no port: 443 is asked, and etcd's own is 2379"),
            ("https://etcd-1:70000", "has no valid port"),
            ("https://:2379", "names no host"),
            ("https://etcd-1:2379/v2", "has a path, which no etcd has"),
            ("https://etcd-1:2379, https://etcd-2:2379", "has a blank in it"),
            ("https://etcd-1:2379,", "has a comma with nothing beside it"),
        ] {
            assert_eq!(external_url_flaw(wrong).map(|flaw| flaw.what), Some(what), "{wrong}");
        }
    }
}
