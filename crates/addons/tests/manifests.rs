//! Manifests of the user's own: their order, their namespaces, and what is left out of them.
#![expect(clippy::unwrap_used, reason = "helpers of tests panic as tests do")]

mod world;

use serde_json::{Value, json};
use windlass_model::{AddonKind, DesiredAddon};
use world::{OF_RKE, body, of, problems};

fn manifests(text: &str) -> DesiredAddon {
    of(&inline(text), "v1.30.5", OF_RKE, &[]).remove(&AddonKind::Manifests).unwrap()
}

/// As the value of `addons`.
fn inline(text: &str) -> String {
    format!("addons: |\n  {}\n", text.replace('\n', "\n  "))
}

fn names(text: &str) -> Vec<String> {
    manifests(text).objects.iter().map(|desired| desired.object.to_string()).collect()
}

#[test]
fn what_others_need_comes_first_and_the_rest_stays_in_order() {
    let text = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
---
apiVersion: example.org/v1
kind: Widget
metadata: {name: b}
---
apiVersion: example.org/v1
kind: Board
metadata: {name: c}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: web, namespace: shop}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.org}
spec: {group: example.org, scope: Namespaced, names: {kind: Widget, plural: widgets}}
---
apiVersion: v1
kind: Namespace
metadata: {name: shop, namespace: shop}
";
    assert_eq!(
        names(text),
        [
            "Namespace shop",
            "CustomResourceDefinition widgets.example.org",
            "ServiceAccount shop/web",
            "Deployment shop/web",
            // The definition says that its objects are in namespaces; of the other kind nobody knows.
            "Widget default/b",
            "Board c",
        ]
    );
}

#[test]
fn each_object_says_where_it_is_from() {
    let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\napiVersion: v1\nkind: ConfigMap\n\
        metadata: {name: b}";
    let addon = manifests(text);
    let from: Vec<&str> = addon.objects.iter().filter_map(|desired| desired.from.as_deref()).collect();
    // Before it are the nodes, the network and the key itself.
    assert_eq!(from, ["addons, line 4", "addons, line 8"]);
    assert_eq!(addon.origin, Some("addons".into()));
}

#[test]
fn what_kubernetes_writes_is_left_out() {
    let text = "\
apiVersion: v1
kind: Secret
metadata:
  name: a
  uid: 1
  resourceVersion: '7'
  creationTimestamp: null
  annotations: {kubectl.kubernetes.io/last-applied-configuration: '{}', own: kept}
data: {x: YQ==}
stringData: {y: b}
status: {}";
    let mut seen = body(&manifests(text), "Secret default/a");
    let annotations = seen["metadata"]["annotations"].as_object_mut().unwrap();
    assert!(annotations.remove("windlass.io/applied").is_some_and(|digest: Value| digest.is_string()));
    let expected = json!({"apiVersion": "v1", "kind": "Secret", "data": {"x": "YQ==", "y": "Yg=="},
        "metadata": {"name": "a", "namespace": "default", "annotations": {"own": "kept"},
            "labels": {"windlass.io/addon": "manifests"}}});
    assert_eq!(seen, expected);
}

#[test]
fn one_object_is_in_one_manifest() {
    let twice = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\napiVersion: v1\nkind: ConfigMap\n\
        metadata: {name: a, namespace: default}\n---\napiVersion: v1\nkind: Service\n\
        metadata: {name: kube-dns, namespace: kube-system}";
    assert_eq!(
        problems(&inline(twice)),
        [
            "error: addons: addons, line 8: ConfigMap default/a is there before, in addons, line 4 (keep one of them)",
            "error: addons: addons, line 12: Service kube-system/kube-dns is what windlass itself deploys (leave it \
             out, or write `none` as the provider of it)",
        ]
    );
}
