//! Values in a format of their own: kernel settings, caches, certificates by name, patterns.

use super::flaw::{Flaw, refused};
use super::lists::{parts, stray};

/// Kernel settings that pods may set, each of a namespace of its own.
///
/// Source: `NewAllowlist` in `pkg/kubelet/sysctl/allowlist.go` and `namespace.go` beside it, of kubernetes/kubernetes.
pub(super) fn sysctls(value: &str) -> Option<Flaw> {
    const OF_NAMESPACES: [&str; 4] = ["kernel.shm", "kernel.msg", "fs.mqueue.", "net."];
    for given in parts(value) {
        let name = given.replace('/', ".");
        let plain = name.strip_suffix('*').unwrap_or(&name);
        let of_name =
            |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "-_.".contains(letter);
        if !plain.chars().all(of_name) {
            return refused(
                format!("has `{given}`, which is no kernel setting"),
                "write names such as `net.core.somaxconn`, or beginnings such as `net.ipv4.*`",
            );
        }
        if plain != "kernel.sem" && !OF_NAMESPACES.iter().any(|prefix| plain.starts_with(prefix)) {
            return refused(
                format!("has `{given}`, which is the same for all pods of a machine"),
                "kubelet does not start with it: set it on the machines, outside of Kubernetes",
            );
        }
    }
    stray(value)
}

/// Source: `ParseWatchCacheSizes` in `pkg/server/options/etcd.go` of kubernetes/apiserver.
pub(super) fn cache_sizes(value: &str) -> Option<Flaw> {
    let is_right = |part: &str| {
        part.split_once('#')
            .is_some_and(|(resource, size)| !resource.is_empty() && size.parse::<u32>().is_ok())
    };
    match parts(value).find(|part| !is_right(part)) {
        Some(wrong) => refused(
            format!("has `{wrong}`, which is no size of a cache"),
            "write it like `pods#1000,deployments.apps#500`",
        ),
        None => stray(value),
    }
}

/// Source: `EtcdOptions.Validate` in `pkg/server/options/etcd.go` of kubernetes/apiserver.
pub(super) fn etcd_overrides(value: &str) -> Option<Flaw> {
    let is_right = |part: &str| {
        part.split_once('#').is_some_and(|(resource, servers)| {
            !servers.is_empty() && !servers.contains('#') && resource.split('/').count() == 2
        })
    };
    match parts(value).find(|part| !is_right(part)) {
        Some(wrong) => refused(
            format!("has `{wrong}`, which names no resource with its servers"),
            "write it like `/events#https://10.0.0.1:2379;https://10.0.0.2:2379`",
        ),
        None => stray(value),
    }
}

/// Source: `NamedCertKey.Set` in `cli/flag` of kubernetes/component-base.
pub(super) fn cert_key(value: &str) -> Option<Flaw> {
    let paths = value.split_once(':').map_or(value, |(paths, _)| paths);
    let is_right = matches!(paths.split(',').collect::<Vec<_>>()[..], [certificate, key]
        if !certificate.trim().is_empty() && !key.trim().is_empty());
    if is_right {
        None
    } else {
        refused("is no certificate with its key", "write it like `/a/tls.crt,/a/tls.key:api.example.com`")
    }
}

/// `simple`, or `jwt,pub-key=…,priv-key=…,sign-method=…`.
///
/// Source: `NewTokenProvider` and `decomposeOpts` in `server/auth/store.go` of etcd-io/etcd.
pub(super) fn auth_token(value: &str) -> Option<Flaw> {
    let mut given = value.split(',');
    let kind = given.next().unwrap_or_default();
    if !matches!(kind, "" | "simple" | "jwt") {
        return refused(
            format!("has `{kind}`, which is no kind of tokens"),
            "the kinds are `simple` and `jwt,…`",
        );
    }
    let wrong = given.find(|option| !option.contains('='))?;
    refused(format!("has `{wrong}` without `=`"), "write options like `jwt,sign-method=RS256`")
}

/// Regular expressions of Go; a `*` alone is a habit of other programs, and stops the API server.
///
/// Source: `CompileRegexps` in `pkg/util/` of kubernetes/apiserver.
pub(super) fn patterns(value: &str) -> Option<Flaw> {
    match parts(value).find(|part| part.starts_with(['*', '+', '?'])) {
        Some(wrong) => refused(
            format!("has `{wrong}`, which is no regular expression"),
            "nothing is before the sign that repeats: write `//.*` for all",
        ),
        None => stray(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_those_of_the_components() {
        for (check, right, wrong) in [
            (
                sysctls as fn(&str) -> Option<Flaw>,
                &["", "net.*", "kernel.sem,kernel.shm*", "net/core/somaxconn"][..],
                &["vm.max_map_count", "kernel.*", "*", "net.core.*x", "net.core.somaxconn, net.ipv4.*"][..],
            ),
            (
                cache_sizes,
                &["", "pods#0", "pods#10,deployments.apps#5"],
                &["pods", "pods#a", "#5", "pods=10", "pods#10, nodes#5"],
            ),
            (
                etcd_overrides,
                &["", "/events#https://10.0.0.1:2379", "apps/deployments#https://a:1;https://b:1"],
                &["/events", "events#https://a:1", "/events#"],
            ),
            (
                cert_key,
                &["/a.crt,/a.key", "/a.crt,/a.key:*.example.com,b"],
                &["", "/a.crt", "/a.crt,", "/a,/b,/c"],
            ),
            (auth_token, &["", "simple", "jwt,pub-key=/a,sign-method=RS256"], &["jwtt", "jwt,RS256"]),
            (patterns, &["", "//.*", "//localhost(:|$)"], &["*", "*.example.com", "//a,*"]),
        ] {
            for value in right {
                assert_eq!(check(value), None, "{value}");
            }
            for value in wrong {
                assert!(check(value).is_some(), "{value}");
            }
        }
    }
}
