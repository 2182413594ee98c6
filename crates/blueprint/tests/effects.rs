//! What parts of a cluster.yml change of the blueprint: each file of `effects/` beside what it gains and loses.
#![expect(clippy::disallowed_methods, clippy::format_push_string, reason = "the frozen texts are files")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use windlass_blueprint::{Catalog, Resolution, render, resolve};
use windlass_spec::read;

/// One node with all roles, as a file that says no more.
const NODES: &str = "nodes: [{address: 192.0.2.1, internal_address: 10.0.0.1, hostname_override: node-1, user: ops, role: [etcd, controlplane, worker]}]\n";

fn resolved(text: &str) -> Resolution {
    let mut text = if text.contains("nodes:") { text.to_owned() } else { format!("{NODES}{text}") };
    // Not the default, so that a new one changes nothing here.
    if !text.contains("kubernetes_version") && !text.contains("{kubernetes:") {
        text.push_str("kubernetes_version: v1.30.5-rancher1-1\n");
    }
    for (section, key) in
        [("network", "plugin"), ("dns", "provider"), ("ingress", "provider"), ("monitoring", "provider")]
    {
        if !text.contains(section) {
            text.push_str(&format!("{section}: {{{key}: none}}\n"));
        }
    }
    let reading = read(text.as_bytes());
    let spec = reading.spec.unwrap_or_else(|| panic!("{text}\n{:#?}", reading.diagnostics));
    resolve(&spec, Catalog::builtin(), &BTreeMap::new())
}

fn lines(resolution: &Resolution) -> Vec<String> {
    let text = resolution.blueprint.as_ref().map(render).unwrap_or_default();
    text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect()
}

#[test]
fn each_file_has_the_effects_that_are_frozen_beside_it() {
    let folder = format!("{}/tests/effects", env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "yml"));
    files.sort();
    assert!(files.len() > 9);
    let mut wrong = Vec::new();
    for file in files {
        let after = resolved(&fs::read_to_string(&file).unwrap());
        let mut lost = lines(&resolved(""));
        let mut output = String::new();
        for problem in &after.problems {
            let help = problem.help.as_deref().unwrap_or_default();
            writeln!(output, "{}: {}: {} ({help})", problem.severity, problem.path, problem.summary).unwrap();
        }
        if after.blueprint.is_none() {
            lost.clear();
            output.push_str("no blueprint\n");
        }
        for line in lines(&after) {
            match lost.iter().position(|other| *other == line) {
                Some(found) => drop(lost.remove(found)),
                None => writeln!(output, "+{line}").unwrap(),
            }
        }
        for line in lost {
            writeln!(output, "-{line}").unwrap();
        }
        assert!(!output.contains("hunter2") && !output.contains("aHVudGVy"), "{output}");
        for (name, secret) in &after.secrets {
            writeln!(output, "secret {name} of {} characters", secret.expose().chars().count()).unwrap();
        }
        let frozen = file.with_extension("out");
        if std::env::var("UPDATE").is_ok() {
            fs::write(frozen, output).unwrap();
        } else if fs::read_to_string(&frozen).unwrap_or_default() != output {
            wrong.push(format!("{}:\n{output}", file.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_version_of_rke_1_that_is_not_listed_takes_after_its_neighbour() {
    let of = |version: &str| Catalog::builtin().images_like(&version.parse().unwrap());
    let (near, images) = of("v1.24.16-rancher1-3").unwrap();
    assert_eq!(near.to_string(), "v1.24.16-rancher1-1");
    assert_eq!(images["kubernetes"], "rancher/hyperkube:v1.24.16-rancher1");
    assert_eq!(images["etcd"], "rancher/mirrored-coreos-etcd:v3.5.4");
    for unknown in
        ["v1.24.8", "v1.24.8-rancher1", "v1.24.8-rancherX-1", "v1.7.1-rancher1-1", "v1.99.0-rancher1-1"]
    {
        assert!(of(unknown).is_none(), "{unknown}");
    }
}

#[test]
fn the_reference_names_the_default_version_of_the_catalog() {
    let schema = windlass_spec::json_schema();
    let about = schema["properties"]["kubernetes_version"]["description"].as_str().unwrap();
    let default = Catalog::builtin().default_version();
    assert!(about.ends_with(&format!("Default: {default}.")), "{about}");
}

#[test]
fn what_is_proposed_for_a_version_without_its_last_number_is_the_newest_of_the_catalog() {
    for version in Catalog::builtin().versions() {
        let (major, minor, _) = version.numbers();
        let newest = Catalog::builtin().versions().filter(|other| other.numbers().1 == minor).last();
        let newest = newest.map(ToString::to_string);
        assert_eq!(windlass_spec::newest_version(&format!("v{major}.{minor}")), newest.as_deref());
    }
}

/// The arguments of every container that a cluster with all that depends on versions has.
fn arguments(minor: u32) -> Vec<String> {
    let text = format!(
        "{NODES}kubernetes_version: v1.{minor}.99\nsystem_images: {{etcd: a/etcd:v3.4.15, kubernetes: a/k:v1.{minor}.99, \
         nginx_proxy: a/nginx:1, pod_infra_container: a/pause:3}}\nservices: {{kube-api: \
         {{secrets_encryption_config: {{enabled: true}}, always_pull_images: true}}}}\n"
    );
    let blueprint = resolved(&text).blueprint.unwrap_or_else(|| panic!("{text}"));
    let containers = blueprint.nodes.values().flat_map(|node| &node.containers);
    containers
        .flat_map(|(component, desired)| {
            desired.spec.command.iter().map(move |argument| format!("{component} {argument}"))
        })
        .collect()
}

#[test]
fn the_arguments_of_each_minor_version_differ_as_frozen_from_those_before() {
    let mut before = arguments(8);
    let mut text = format!("v1.8\n  {}\n", before.join("\n  "));
    for minor in 9..=37 {
        let now = arguments(minor);
        writeln!(text, "v1.{minor}").unwrap();
        for gone in before.iter().filter(|argument| !now.contains(argument)) {
            writeln!(text, "  - {gone}").unwrap();
        }
        for new in now.iter().filter(|argument| !before.contains(argument)) {
            writeln!(text, "  + {new}").unwrap();
        }
        before = now;
    }
    let frozen = format!("{}/tests/frozen/arguments-by-minor.txt", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&frozen, &text).unwrap();
    }
    assert_eq!(text, fs::read_to_string(&frozen).unwrap_or_default());
}

#[test]
fn clouds_are_reported_when_the_version_left_them() {
    let reported = |cloud: &str, version: &str, more: &str| {
        let text = format!(
            "cloud_provider: {{name: {cloud}, {cloud}CloudProvider: {{global: {{}}}}}}\nkubernetes_version: {version}-rancher1-1\n{more}"
        );
        let text = text.replace("gceCloudProvider: {global: {}}", "");
        let problems = resolved(&text).problems;
        problems.iter().any(|problem| problem.path.as_str() == "cloud_provider.name")
    };
    let gates = "services: {kubelet: {extra_args: {feature-gates: 'DisableCloudProviders=false'}}, kube-controller: {extra_args: {feature-gates: 'DisableCloudProviders=false'}}}\n";
    for (cloud, version, more, expected) in [
        ("openstack", "v1.25.0", "", false),
        ("openstack", "v1.26.0", "", true),
        ("vsphere", "v1.28.0", "", false),
        ("vsphere", "v1.29.0", "", true),
        ("vsphere", "v1.30.0", gates, false),
        ("gce", "v1.31.0", gates, true),
        ("harvester", "v1.31.0", "", false),
    ] {
        assert_eq!(reported(cloud, version, more), expected, "{cloud} {version}");
    }
}

#[test]
fn audit_policies_of_an_older_format_are_refused_from_the_version_on_that_dropped_it() {
    let reported = |format: &str, version: &str| {
        let text = format!(
            "kubernetes_version: {version}\nservices: {{kube-api: {{audit_log: {{enabled: true, configuration: {{policy: \
             {{apiVersion: audit.k8s.io/{format}, rules: [{{level: Metadata}}]}}}}}}}}}}\n"
        );
        resolved(&text).blueprint.is_none()
    };
    assert!(!reported("v1beta1", "v1.23.16-rancher2-3"));
    assert!(reported("v1beta1", "v1.24.17-rancher1-1"));
    assert!(!reported("v1", "v1.30.5-rancher1-1"));
}

#[test]
fn what_cannot_be_read_keeps_nobody_from_saying_what_else_is_wrong() {
    let text = "nodes: [{address: 192.0.2.1, role: [etcd, controlplane]}]\n\
                kubernetes_version: v1.28.8-rancher1-1\ncloud_provider: {name: aws}\nnetwork: {plugin: nome}\n\
                services: {kubelet: {extra_args: {max-pod: 7}, fail_swap_on: maybe}}\n";
    let reading = read(text.as_bytes());
    assert!(reading.spec.is_none());
    let partial = reading.partial.expect("its version can be read");
    let errors = reading.diagnostics.iter().filter(|found| found.severity == windlass_spec::Severity::Error);
    let unread: Vec<String> = errors.map(|error| error.place.path.clone()).collect();
    let reported: Vec<String> = windlass_blueprint::problems(&partial, Catalog::builtin(), &unread)
        .into_iter()
        .map(|problem| format!("{} {}", problem.severity, problem.path))
        .collect();
    assert_eq!(reported, ["warning services.kubelet.extra_args.max-pod", "error cloud_provider.name"]);
}

#[test]
fn no_file_of_which_not_all_can_be_read_is_too_much_for_the_catalog() {
    let folder = format!("{}/../spec/tests/bad", env!("CARGO_MANIFEST_DIR"));
    let mut looked = 0;
    for file in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let reading = read(&fs::read(file).unwrap());
        let unread: Vec<String> = reading.diagnostics.iter().map(|error| error.place.path.clone()).collect();
        if let Some(partial) = reading.partial {
            looked += 1;
            windlass_blueprint::problems(&partial, Catalog::builtin(), &unread);
        }
    }
    assert!(looked > 30, "{looked}");
}
