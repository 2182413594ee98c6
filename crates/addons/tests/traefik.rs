//! The contents of Traefik's objects: what each key of `ingress` changes, and which keys it does not have.
#![expect(clippy::unwrap_used, reason = "helpers of tests panic as tests do")]

mod world;

use serde_json::{Value, json};
use windlass_model::AddonKind;
use world::{PUBLISHED, body, of, problems, problems_at};

fn is_there(text: &str, version: &str) -> bool {
    of(text, version, PUBLISHED, &[]).contains_key(&AddonKind::Ingress)
}

fn object(ingress: &str, object: &str) -> Value {
    let text = format!("ingress: {{provider: traefik, {ingress}}}");
    body(&of(&text, "v1.37.2", PUBLISHED, &[]).remove(&AddonKind::Ingress).unwrap(), object)
}

fn pod(ingress: &str) -> Value {
    object(ingress, "DaemonSet ingress-nginx/traefik")["spec"]["template"]["spec"].clone()
}

fn flags(ingress: &str) -> Vec<String> {
    serde_json::from_value(pod(ingress)["containers"][0]["args"].clone()).unwrap()
}

fn has(ingress: &str, flag: &str) -> bool {
    flags(ingress).iter().any(|found| found == flag)
}

#[test]
fn it_is_the_default_from_1_33_on_where_windlass_deploys_the_network() {
    assert!(is_there("", "v1.33.1") && !is_there("", "v1.32.6-rancher1-1"));
    assert!(!is_there("network: {plugin: none}", "v1.37.2"));
    for provider in ["none", "nginx"] {
        assert!(!is_there(&format!("ingress: {{provider: {provider}}}"), "v1.37.2"), "{provider}");
    }
    assert!(is_there("ingress: {provider: traefik}\nnetwork: {plugin: none}", "v1.30.5"));
}

#[test]
fn each_mode_opens_the_ports_in_its_own_way() {
    let ports = |ingress: &str| {
        let ports = pod(ingress)["containers"][0]["ports"].clone();
        let of = |at: usize| (ports[at]["containerPort"].as_u64(), ports[at]["hostPort"].as_u64());
        (of(0), of(1))
    };
    assert_eq!(ports(""), ((Some(8000), Some(80)), (Some(8443), Some(443))));
    assert_eq!(ports("http_port: 8080"), ((Some(8000), Some(8080)), (Some(8443), Some(443))));
    assert_eq!(ports("network_mode: none"), ((Some(8000), None), (Some(8443), None)));
    let host = "network_mode: hostNetwork, http_port: 8080";
    assert_eq!(ports(host), ((Some(8080), Some(8080)), (Some(443), Some(443))));
    assert!(has(host, "--entrypoints.web.address=:8080"));
    assert_eq!(
        (pod(host)["hostNetwork"].clone(), pod("")["hostNetwork"].clone()),
        (json!(true), Value::Null)
    );
    assert_eq!(pod(host)["dnsPolicy"], json!("ClusterFirstWithHostNet"));
}

#[test]
fn the_default_certificate_is_read_from_its_secret() {
    let ingress = "extra_args: {default-ssl-certificate: ingress-nginx/own}";
    let secret = pod(ingress)["volumes"][0]["projected"]["sources"][1]["secret"].clone();
    assert_eq!((secret["name"].clone(), secret["optional"].clone()), (json!("own"), json!(true)));
    assert!(has(ingress, "--providers.file.directory=/etc/windlass"));
    assert_eq!(pod("")["volumes"], Value::Null);
    assert_eq!(
        problems("ingress: {provider: traefik, extra_args: {default-ssl-certificate: web/own}}"),
        [
            "error: ingress.extra_args.default-ssl-certificate: `web/own` is not in the namespace ingress-nginx, where \
          Traefik's pods are (keep a copy of the Secret there, and write `ingress-nginx/NAME`)"
        ]
    );
}

#[test]
fn keys_of_ingress_nginx_are_those_of_traefik_where_it_has_them() {
    const PROVIDER: &str = "--providers.kubernetesingressnginx";
    let ingress = "options: {proxy-body-size: 8m, proxy-buffering: 'on'}, \
        extra_args: {default-backend-service: a/b, log.level: DEBUG}";
    for flag in ["proxybodysize=8388608", "proxybuffering=true", "defaultbackendservice=a/b"] {
        assert!(has(ingress, &format!("{PROVIDER}.{flag}")), "{flag}: {:?}", flags(ingress));
    }
    assert!(has(ingress, "--log.level=DEBUG"));
    let class = |ingress: &str| {
        object(ingress, "IngressClass nginx")["metadata"]["annotations"]["ingressclass.kubernetes.io/is-default-class"]
            .clone()
    };
    let without = format!("{PROVIDER}.watchingresswithoutclass=true");
    assert_eq!((class(""), has("", &without)), (json!("true"), true));
    let off = "default_ingress_class: false";
    assert_eq!((class(off), has(off, &without)), (json!("false"), false));
}

#[test]
fn what_it_does_not_have_is_named() {
    let text = "ingress: {provider: traefik, default_backend: true, options: {use-gzip: 'true'}, \
        extra_args: {enable-ssl-passthrough: '', default-backend: a/b}}";
    assert_eq!(
        problems(text),
        [
            "warning: ingress.extra_args.default-backend: `default-backend` has no effect: it is a flag of \
             ingress-nginx, and Traefik has none like it (did you mean `default-backend-service`?)",
            "warning: ingress.extra_args.enable-ssl-passthrough: `enable-ssl-passthrough` has no effect: it is a flag \
             of ingress-nginx, and Traefik has none like it (remove it; Traefik's own flags, such as `log.level`, \
             have dots)",
            "warning: ingress.options.use-gzip: `use-gzip` has no effect: it is an option of ingress-nginx, and \
             Traefik has none like it (look for an annotation or a flag of Traefik that does it, and remove this one)",
            "warning: ingress.default_backend: `default_backend` has no effect: there is no default backend beside \
             Traefik (name a Service of your own: `extra_args.default-backend-service`)",
        ]
    );
    assert_eq!(
        problems("ingress: {provider: traefik, options: {proxy-body-size: much}}"),
        [
            "error: ingress.options.proxy-body-size: `much` is no value of `proxy-body-size` (write a number of bytes, \
          or `8k`, `1m`)"
        ]
    );
    let old = problems_at("ingress: {provider: traefik}", "v1.20.15");
    assert!(
        old[0].starts_with("error: ingress.provider: Traefik needs Kubernetes v1.21 or later"),
        "{old:?}"
    );
}
