//! The names of Docker Hub, and the form of a registry's URL by which logins are found.

/// The hosts that people write for Docker Hub.
pub(crate) const HOSTS: [&str; 4] =
    ["docker.io", "index.docker.io", "registry-1.docker.io", "hub.docker.com"];

/// Whether a URL is one of Docker Hub, with or without a path.
pub(crate) fn is_docker_hub(url: &str) -> bool {
    plain(url).split('/').next().is_some_and(|host| HOSTS.contains(&host))
}

/// A registry's URL as logins are found by it: without a scheme, a slash at its end and capital letters.
pub(crate) fn plain(url: &str) -> String {
    let bare = url.split_once("://").map_or(url, |(_, rest)| rest).trim_end_matches('/');
    bare.to_ascii_lowercase()
}
