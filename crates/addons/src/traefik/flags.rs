//! Traefik's flags: those that follow from the keys of cluster.yml, which are named as by ingress-nginx.

use std::collections::BTreeMap;

use windlass_spec::{IngressSpec, nearest};

use super::{CONFIG_DIRECTORY, NAMESPACE};
use crate::problem::Problems;

/// The provider's flags begin with this.
const PROVIDER: &str = "providers.kubernetesingressnginx";
/// The flag of ingress-nginx that names a Secret.
pub(super) const CERTIFICATE: &str = "default-ssl-certificate";

/// Flags of ingress-nginx that Traefik's provider has too.
///
/// Source: the provider's reference (see `rules`), and `docs/user-guide/cli-arguments.md` of
/// <https://github.com/kubernetes/ingress-nginx>.
const FLAGS: [(&str, &str); 11] = [
    ("controller-class", "controllerclass"),
    ("default-backend-service", "defaultbackendservice"),
    ("disable-svc-external-name", "disablesvcexternalname"),
    ("ingress-class", "ingressclass"),
    ("ingress-class-by-name", "ingressclassbyname"),
    ("publish-service", "publishservice"),
    ("publish-status-address", "publishstatusaddress"),
    ("watch-ingress-without-class", "watchingresswithoutclass"),
    ("watch-namespace", "watchnamespace"),
    ("watch-namespace-selector", "watchnamespaceselector"),
    // The provider has no such flag: a file names the certificate.
    (CERTIFICATE, ""),
];

/// Keys of ingress-nginx' `ConfigMap` that Traefik's provider has too, and whether they are sizes.
///
/// Source: as above, and `docs/user-guide/nginx-configuration/configmap.md` there.
const OPTIONS: [(&str, &str, Form); 18] = [
    ("allow-cross-namespace-resources", "allowcrossnamespaceresources", Form::AsItIs),
    ("allow-snippet-annotations", "allowsnippetannotations", Form::AsItIs),
    ("client-body-buffer-size", "clientbodybuffersize", Form::Size),
    ("custom-http-errors", "customhttperrors", Form::AsItIs),
    ("global-allowed-response-headers", "globalallowedresponseheaders", Form::AsItIs),
    ("global-auth-url", "globalauthurl", Form::AsItIs),
    ("proxy-body-size", "proxybodysize", Form::Size),
    ("proxy-buffer-size", "proxybuffersize", Form::Size),
    ("proxy-buffering", "proxybuffering", Form::Switch),
    ("proxy-buffers-number", "proxybuffersnumber", Form::AsItIs),
    ("proxy-connect-timeout", "proxyconnecttimeout", Form::AsItIs),
    ("proxy-next-upstream", "proxynextupstream", Form::AsItIs),
    ("proxy-next-upstream-timeout", "proxynextupstreamtimeout", Form::AsItIs),
    ("proxy-next-upstream-tries", "proxynextupstreamtries", Form::AsItIs),
    ("proxy-read-timeout", "proxyreadtimeout", Form::AsItIs),
    ("proxy-request-buffering", "proxyrequestbuffering", Form::Switch),
    ("proxy-send-timeout", "proxysendtimeout", Form::AsItIs),
    ("strict-validate-path-type", "strictvalidatepathtype", Form::AsItIs),
];

/// How a value of ingress-nginx is written for Traefik.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    AsItIs,
    /// `8k`, in bytes.
    Size,
    /// `on` or `off`.
    Switch,
}

impl Form {
    fn value(self, text: &str) -> Option<String> {
        match self {
            Self::AsItIs => Some(text.to_owned()),
            Self::Switch => match text {
                "on" | "true" => Some("true".to_owned()),
                "off" | "false" => Some("false".to_owned()),
                _ => None,
            },
            Self::Size => {
                let text = text.trim().to_lowercase();
                let unit = |suffix, factor: u64| text.strip_suffix(suffix).map(|number| (number, factor));
                let (number, factor) = unit("k", 1 << 10)
                    .or_else(|| unit("m", 1 << 20))
                    .or_else(|| unit("g", 1 << 30))
                    .unwrap_or((&text, 1));
                Some(number.trim().parse::<u64>().ok()?.checked_mul(factor)?.to_string())
            }
        }
    }
}

/// Whether a flag is Traefik's own: such have dots.
fn is_traefiks(flag: &str) -> bool {
    flag.contains('.') || ["ping", "api", "accesslog", "log"].contains(&flag)
}

/// The Secret of the default certificate: its name, in the namespace of the pods.
pub(super) fn certificate(ingress: &IngressSpec) -> Option<&str> {
    let (namespace, name) = ingress.extra_args.get(CERTIFICATE)?.split_once('/')?;
    (namespace == NAMESPACE).then_some(name)
}

/// All flags, each once, by name.
pub(super) fn flags(ingress: &IngressSpec, ports: (u16, u16), health: u16) -> Vec<String> {
    let (http, https) = ports;
    let mut flags: BTreeMap<String, String> = BTreeMap::new();
    let mut set = |flag: &str, value: String| drop(flags.insert(flag.to_lowercase(), value));
    set("entrypoints.web.address", format!(":{http}"));
    set("entrypoints.websecure.address", format!(":{https}"));
    set("entrypoints.websecure.http.tls", "true".to_owned());
    set("entrypoints.traefik.address", format!(":{health}"));
    set("ping", "true".to_owned());
    set("global.checknewversion", "false".to_owned());
    set("global.sendanonymoususage", "false".to_owned());
    set(PROVIDER, "true".to_owned());
    set(&format!("{PROVIDER}.httpentrypoint"), "web".to_owned());
    set(&format!("{PROVIDER}.httpsentrypoint"), "websecure".to_owned());
    if ingress.default_ingress_class != Some(false) {
        // As in RKE 1: an Ingress without a class is of the default one.
        set(&format!("{PROVIDER}.watchingresswithoutclass"), "true".to_owned());
    }
    if certificate(ingress).is_some() {
        set("providers.file.directory", CONFIG_DIRECTORY.to_owned());
        set("providers.file.watch", "true".to_owned());
    }
    for (name, text) in &ingress.options {
        if let Some((_, flag, form)) = OPTIONS.iter().find(|(option, ..)| option == name)
            && let Some(value) = form.value(text)
        {
            set(&format!("{PROVIDER}.{flag}"), value);
        }
    }
    for (name, text) in &ingress.extra_args {
        let name = name.trim_start_matches('-');
        if is_traefiks(name) {
            set(name, text.clone());
        } else if let Some((_, flag)) = FLAGS.iter().find(|(own, flag)| *own == name && !flag.is_empty()) {
            set(&format!("{PROVIDER}.{flag}"), text.clone());
        }
    }
    let written = |(flag, value): (String, String)| {
        if value.is_empty() { format!("--{flag}") } else { format!("--{flag}={value}") }
    };
    flags.into_iter().map(written).collect()
}

/// Reports what Traefik does not have, by name, and values that it would not start with.
pub(super) fn check(ingress: &IngressSpec, problems: &mut Problems) {
    for name in ingress.extra_args.keys() {
        let flag = name.trim_start_matches('-');
        let is_known = is_traefiks(flag) || FLAGS.iter().any(|(own, _)| *own == flag);
        if !is_known {
            let help = match nearest(flag, FLAGS.map(|(own, _)| own)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "remove it; Traefik's own flags, such as `log.level`, have dots".to_owned(),
            };
            problems.warning(
                &format!("ingress.extra_args.{name}"),
                format!(
                    "`{flag}` has no effect: it is a flag of ingress-nginx, and Traefik has none like it"
                ),
                Some(help),
            );
        }
    }
    if let Some(secret) = ingress.extra_args.get(CERTIFICATE).filter(|_| certificate(ingress).is_none()) {
        problems.error(
            &format!("ingress.extra_args.{CERTIFICATE}"),
            format!("`{secret}` is not in the namespace {NAMESPACE}, where Traefik's pods are"),
            Some(format!("keep a copy of the Secret there, and write `{NAMESPACE}/NAME`")),
        );
    }
    for (name, text) in &ingress.options {
        let path = format!("ingress.options.{name}");
        match OPTIONS.iter().find(|(option, ..)| option == name) {
            None => problems.warning(
                &path,
                format!(
                    "`{name}` has no effect: it is an option of ingress-nginx, and Traefik has none like it"
                ),
                Some(
                    "look for an annotation or a flag of Traefik that does it, and remove this one"
                        .to_owned(),
                ),
            ),
            Some((.., form)) if form.value(text).is_none() => {
                let help = if *form == Form::Size {
                    "write a number of bytes, or `8k`, `1m`"
                } else {
                    "write `on` or `off`"
                };
                problems.error(&path, format!("`{text}` is no value of `{name}`"), Some(help.to_owned()));
            }
            Some(_) => {}
        }
    }
}
