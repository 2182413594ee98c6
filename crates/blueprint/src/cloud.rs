//! The cloud's settings as the file that its provider reads: INI for most, JSON for azure.
//!
//! The names are those of the providers themselves, which Kubernetes' in-tree providers and their successors
//! outside of the tree share. The whole file is a secret, since most hold a password.

use std::fmt::Write as _;

use serde_json::{Map, Value};
use windlass_model::Secret;
use windlass_spec::CloudProviderSpec;

/// What the components are given as the name of the provider.
pub(crate) fn flag_of(spec: &CloudProviderSpec) -> &str {
    match spec.name.as_deref().unwrap_or_default() {
        // Amazon's provider that runs in the cluster is `external` to the components; Harvester's always does.
        "external-aws" | "harvester" if spec.custom.is_none() => "external",
        name => name,
    }
}

/// The text of `/etc/kubernetes/cloud-config`; none if there are no settings.
pub(crate) fn config(spec: &CloudProviderSpec) -> Option<Secret<String>> {
    let CloudProviderSpec {
        name,
        use_instance_metadata_hostname: _,
        aws,
        azure,
        openstack,
        vsphere,
        harvester,
        custom,
    } = spec;
    if custom.is_some() {
        // As in RKE 1, the whole file goes before all settings.
        return name.as_ref().and(custom.clone());
    }
    match name.as_deref()? {
        "aws" | "external-aws" => aws.as_ref().map(|settings| ini(settings, AWS, Names::OfAws)),
        "azure" => azure.as_ref().map(json),
        "openstack" => openstack.as_ref().map(|settings| ini(settings, OPENSTACK, Names::AsWritten)),
        "vsphere" => vsphere.as_ref().map(|settings| ini(settings, VSPHERE, Names::AsWritten)),
        "harvester" => harvester.clone(),
        _ => None,
    }
}

fn json(settings: &Secret<Value>) -> Secret<String> {
    let text = serde_json::to_string_pretty(settings.expose()).expect("a JSON value is JSON");
    Secret::new(text + "\n")
}

/// A section of cluster.yml and its name in the file; `named` if it is a map of such sections.
struct Part {
    key: &'static str,
    head: &'static str,
    named: bool,
}

const fn part(key: &'static str, head: &'static str) -> Part {
    Part { key, head, named: false }
}

const fn named(key: &'static str, head: &'static str) -> Part {
    Part { key, head, named: true }
}

const AWS: &[Part] = &[part("global", "Global"), named("service_override", "ServiceOverride")];

const OPENSTACK: &[Part] = &[
    part("global", "Global"),
    part("load_balancer", "LoadBalancer"),
    part("block_storage", "BlockStorage"),
    part("route", "Route"),
    part("metadata", "Metadata"),
];

const VSPHERE: &[Part] = &[
    part("global", "Global"),
    named("virtual_center", "VirtualCenter"),
    part("network", "Network"),
    part("disk", "Disk"),
    part("workspace", "Workspace"),
];

/// Names of Amazon's settings, which are written in another way in its file.
const AWS_NAMES: [(&str, &str); 14] = [
    ("zone", "Zone"),
    ("vpc", "VPC"),
    ("subnet-id", "SubnetID"),
    ("routetable-id", "RouteTableID"),
    ("role-arn", "RoleARN"),
    ("kubernetes-cluster-tag", "KubernetesClusterTag"),
    ("kubernetes-cluster-id", "KubernetesClusterID"),
    ("disable-security-group-ingress", "DisableSecurityGroupIngress"),
    ("elb-security-group", "ElbSecurityGroup"),
    ("disable-strict-zone-check", "DisableStrictZoneCheck"),
    ("signing-region", "SigningRegion"),
    ("signing-method", "SigningMethod"),
    ("signing-name", "SigningName"),
    ("url", "URL"),
];

/// How the names of settings are written in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Names {
    /// As in cluster.yml.
    AsWritten,
    /// As Amazon's provider has them.
    OfAws,
}

fn ini(settings: &Secret<Value>, parts: &[Part], names: Names) -> Secret<String> {
    let mut text = String::new();
    for Part { key, head, named } in parts {
        let Some(Value::Object(section)) = settings.expose().get(key) else { continue };
        if *named {
            for (name, section) in section {
                if let Value::Object(section) = section {
                    write_section(&format!("{head} \"{name}\""), section, names, &mut text);
                }
            }
        } else {
            write_section(head, section, names, &mut text);
        }
    }
    Secret::new(text)
}

fn write_section(head: &str, section: &Map<String, Value>, names: Names, text: &mut String) {
    if !text.is_empty() {
        text.push('\n');
    }
    let _ = writeln!(text, "[{head}]");
    for (name, value) in section {
        let name = match names {
            Names::AsWritten => name.clone(),
            Names::OfAws => {
                let renamed = AWS_NAMES.iter().find(|(key, _)| key == name);
                renamed.map_or_else(|| capitalised(name), |(_, name)| (*name).to_owned())
            }
        };
        let _ = writeln!(text, "{name} = {}", shown(value));
    }
}

fn capitalised(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters.clone()).collect()
}

/// A value of an INI file; a text in quotes, so that `;` and `#` in a password begin no comment.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(yaml: &str) -> String {
        let text =
            format!("nodes: [{{address: a, user: b, role: [etcd, controlplane]}}]\ncloud_provider: {yaml}\n");
        let spec = windlass_spec::read(text.as_bytes()).spec.expect("the tests write good files");
        let cloud = spec.cloud_provider.expect("the tests name a cloud");
        config(&cloud).map(|secret| secret.expose().clone()).unwrap_or_default()
    }

    #[test]
    fn each_provider_gets_its_own_format() {
        assert_eq!(
            written(
                "{name: aws, awsCloudProvider: {global: {zone: eu-central-1a, disable-strict-zone-check: true}, \
                 service_override: {x: {service: ec2, url: 'https://x', signing-region: eu}}}}"
            ),
            "[Global]\nDisableStrictZoneCheck = true\nZone = \"eu-central-1a\"\n\n\
             [ServiceOverride \"x\"]\nService = \"ec2\"\nSigningRegion = \"eu\"\nURL = \"https://x\"\n"
        );
        assert_eq!(
            written(
                "{name: vsphere, vsphereCloudProvider: {global: {insecure-flag: true, port: 443}, \
                 virtual_center: {vc.lan: {user: u, password: 'a\"b;c'}}, disk: {scsicontrollertype: pvscsi}}}"
            ),
            "[Global]\ninsecure-flag = true\nport = \"443\"\n\n\
             [VirtualCenter \"vc.lan\"]\npassword = \"a\\\"b;c\"\nuser = \"u\"\n\n\
             [Disk]\nscsicontrollertype = \"pvscsi\"\n"
        );
        assert_eq!(
            written(
                "{name: openstack, openstackCloudProvider: {global: {auth-url: 'https://o'}, \
                 load_balancer: {use-octavia: yes, monitor-max-retries: 3}}}"
            ),
            "[Global]\nauth-url = \"https://o\"\n\n[LoadBalancer]\nmonitor-max-retries = 3\nuse-octavia = true\n"
        );
        assert_eq!(
            written(
                "{name: azure, azureCloudProvider: {tenantId: 0700, cloudProviderBackoffJitter: 1.5, useInstanceMetadata: true}}"
            ),
            "{\n  \"cloudProviderBackoffJitter\": 1.5,\n  \"tenantId\": \"0700\",\n  \"useInstanceMetadata\": true\n}\n"
        );
        assert_eq!(written("{name: mine, customCloudProvider: \"a\\nb\"}"), "a\nb");
        assert_eq!(written("{name: external}"), "");
    }
}
