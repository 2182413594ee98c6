//! Values of flags of the API server that belong together.

use std::collections::BTreeSet;

use windlass_addons::Problems;

use super::given::{Flags, Given};
use super::lists::parts;

pub(super) fn check(api: &Flags<'_>, problems: &mut Problems) {
    authentication(api, problems);
    authorization(api, problems);
    admission(api, problems);
    issuers(api, problems);
}

/// Source: `BuiltInAuthenticationOptions.Validate` in `pkg/kubeapiserver/options` of kubernetes/kubernetes.
fn authentication(api: &Flags<'_>, problems: &mut Problems) {
    match (api.of_file("oidc-issuer-url"), api.of_file("oidc-client-id")) {
        (Some(Given { place: Some(place), .. }), None) => problems.error(
            &place,
            "`oidc-issuer-url` needs `oidc-client-id` beside it".to_owned(),
            Some("the API server does not start without".to_owned()),
        ),
        (None, Some(Given { place: Some(place), .. })) => problems.warning(
            &place,
            "`oidc-client-id` has no effect without `oidc-issuer-url`".to_owned(),
            Some("give both, or none".to_owned()),
        ),
        _ => {}
    }
}

/// The modes that have a file of their own.
const FILES_OF_MODES: [(&str, &str); 2] =
    [("ABAC", "authorization-policy-file"), ("Webhook", "authorization-webhook-config-file")];

/// Source: `BuiltInAuthorizationOptions.Validate` in `pkg/kubeapiserver/options` of kubernetes/kubernetes.
fn authorization(api: &Flags<'_>, problems: &mut Problems) {
    if let Some(modes) = api.whole_list("authorization-mode") {
        for (mode, flag) in FILES_OF_MODES {
            if let Some(Given { value, place: Some(place) }) = api.of_file(flag)
                && !value.is_empty()
                && !parts(&modes.value).any(|given| given == mode)
            {
                problems.error(
                    &place,
                    format!("`{flag}` needs `{mode}` in `authorization-mode`, and that is {}", modes.value),
                    Some(format!(
                        "the API server does not start with that: write `authorization-mode: {},{mode}`, or take it out",
                        modes.value
                    )),
                );
            }
        }
    }
    let Some(Given { value, place: Some(place) }) = api.list_of_file("authorization-mode") else { return };
    for (mode, flag) in FILES_OF_MODES {
        if parts(&value).any(|given| given == mode) && api.of_file(flag).is_none() {
            problems.error(
                &place,
                format!("`{mode}` needs `{flag}` beside it"),
                Some(
                    "the API server does not start without; a file on the node is mounted by `extra_binds`"
                        .to_owned(),
                ),
            );
        }
    }
}

/// Source: `AdmissionOptions.Validate` in `pkg/kubeapiserver/options` and in `k8s.io/apiserver/pkg/server/options` of
/// kubernetes/kubernetes, from 1.10 on.
fn admission(api: &Flags<'_>, problems: &mut Problems) {
    if !api.at_least(1, 10) {
        return;
    }
    if let Some(Given { place: Some(place), .. }) = api.of_file("admission-control") {
        problems.error(
            &place,
            "the API server takes `admission-control` or `enable-admission-plugins`, and gets the second"
                .to_owned(),
            Some("write the list under `enable-admission-plugins`".to_owned()),
        );
    }
    let (Some(enabled), Some(disabled)) =
        (api.whole_list("enable-admission-plugins"), api.list_of_file("disable-admission-plugins"))
    else {
        return;
    };
    let both: Vec<&str> =
        parts(&disabled.value).filter(|plugin| parts(&enabled.value).any(|other| other == *plugin)).collect();
    if let Some(place) = disabled.place.filter(|_| !both.is_empty()) {
        let whose = if enabled.place.is_some() { "" } else { "windlass' own list of " };
        let is = if both.len() == 1 { "is" } else { "are" };
        problems.error(
            &place,
            format!("{} {is} in {whose}`enable-admission-plugins` too", both.join(", ")),
            Some(
                "the API server does not start with that: give `enable-admission-plugins` without".to_owned(),
            ),
        );
    }
}

/// Source: `BuiltInAuthenticationOptions.Validate` in `pkg/kubeapiserver/options` of kubernetes/kubernetes.
fn issuers(api: &Flags<'_>, problems: &mut Problems) {
    const FLAG: &str = "service-account-issuer";
    let Some(place) = api.place_of(FLAG) else { return };
    let values = api.values_of(FLAG);
    let mut seen = BTreeSet::new();
    let help = "the API server does not start with that: leave one of the two out".to_owned();
    if let Some(again) = values.iter().find(|issuer| !seen.insert(issuer.as_str())) {
        problems.error(&place, format!("`--{FLAG}={again}` is there twice"), Some(help));
    } else if values.iter().any(String::is_empty) && api.at_least(1, 20) {
        problems.error(
            &place,
            format!("`--{FLAG}` is empty"),
            Some("the API server does not start with that: write a name or a URL, or take it out".to_owned()),
        );
    }
}
