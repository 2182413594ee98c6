//! `--runtime-config`: which versions of the API an API server serves.

use windlass_spec::nearest;

use super::flaw::{Flaw, doubtful, refused};
use super::go::is_boolean;
use super::lists::parts;
use super::table::TABLE;

/// What addresses versions of many groups; the last one no newer version knows.
const MANY: [&str; 5] = ["api/all", "api/ga", "api/beta", "api/alpha", "api/legacy"];

/// `group/version=true,api/all=true`; without a value one is served.
///
/// Source: `APIEnablementOptions.Validate` in `pkg/server/options` and `ParseGroups` in `pkg/server/resourceconfig` of
/// kubernetes/apiserver.
pub(super) fn runtime_config(value: &str) -> Option<Flaw> {
    for part in parts(value) {
        let (key, state) = part.split_once('=').unwrap_or((part, "true"));
        let (key, state) = (key.trim(), state.trim());
        if !state.is_empty() && !is_boolean(state) {
            return refused(
                format!("has `{part}`, which is neither true nor false"),
                format!("write `{key}=true` or `{key}=false`"),
            );
        }
        if MANY.contains(&key) {
            continue;
        }
        if let Some(flaw) = group_flaw(key) {
            return Some(flaw);
        }
    }
    let is_all_off = |part: &str| {
        part.split_once('=')
            .is_some_and(|(key, state)| key.trim() == "api/all" && state.trim().eq_ignore_ascii_case("false"))
    };
    if parts(value).count() == 1 && parts(value).all(is_all_off) {
        return refused(
            "leaves nothing that the API server could serve",
            "name beside it what it is to serve, such as `apps/v1=true`",
        );
    }
    None
}

fn group_flaw(key: &str) -> Option<Flaw> {
    let near =
        |text: &str, words: &[String]| nearest(text, words.iter().map(String::as_str)).map(str::to_owned);
    let steps: Vec<&str> = key.split('/').collect();
    let (group, version) = match steps[..] {
        // In some groups single resources could be named, behind the version.
        [group, version] | [group, version, _] => (group, version),
        [version] if is_version(version) => {
            return refused(
                format!("has `{key}`, which names no group"),
                "the group of `v1` itself is always served: take it out",
            );
        }
        _ => {
            let many: Vec<String> = MANY.map(str::to_owned).into();
            let help = match near(key, &many) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("write the group and its version, such as `{key}/v1=true`"),
            };
            return refused(format!("has `{key}`, which is no group with a version"), help);
        }
    };
    if !TABLE.api_groups.has(group) {
        let help = match near(group, &TABLE.api_groups.0) {
            Some(near) => format!("did you mean `{near}/{version}`?"),
            None if group == "api" => "it is one of api/all, api/ga, api/beta and api/alpha".to_owned(),
            None => {
                "the API server does not start with a group that it does not know: take it out".to_owned()
            }
        };
        return doubtful(
            format!("has `{key}`, and `{group}` is no group of the API that windlass knows of"),
            help,
        );
    }
    if !is_version(version) {
        return doubtful(
            format!("has `{key}`, and `{version}` is no version of an API"),
            "write it like `v1` or `v1beta1`",
        );
    }
    None
}

/// `v1`, `v2beta3`.
fn is_version(text: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let Some(rest) = text.strip_prefix('v') else { return false };
    match ["alpha", "beta"].into_iter().find_map(|stage| rest.split_once(stage)) {
        Some((major, minor)) => is_number(major) && is_number(minor),
        None => is_number(rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_have_versions_and_are_on_or_off() {
        for right in [
            "",
            "api/all=true",
            "api/beta=false,api/ga=true",
            "batch/v2alpha1=true, apps/v1",
            "api/all=false,apps/v1=true",
            "extensions/v1beta1/daemonsets=true",
            "authorization.k8s.io/v1beta1=true",
        ] {
            assert_eq!(runtime_config(right), None, "{right}");
        }
        for (wrong, help) in [
            ("api/all=yes", "write `api/all=true` or `api/all=false`"),
            ("batch/v2alpha1:true", "write it like `v1` or `v1beta1`"),
            ("apiall=true", "did you mean `api/all`?"),
            ("batch=true", "write the group and its version, such as `batch/v1=true`"),
            ("bacth/v1=true", "did you mean `batch/v1`?"),
            ("batch/1=true", "write it like `v1` or `v1beta1`"),
            ("v1=true", "the group of `v1` itself is always served: take it out"),
            ("api/v1=true", "it is one of api/all, api/ga, api/beta and api/alpha"),
            ("api/all=false", "name beside it what it is to serve, such as `apps/v1=true`"),
        ] {
            assert_eq!(runtime_config(wrong).map(|flaw| flaw.help).as_deref(), Some(help), "{wrong}");
        }
    }
}
