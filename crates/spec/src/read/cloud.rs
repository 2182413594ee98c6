//! Reads `cloud_provider`, and checks that its parts belong together.

use windlass_model::Secret;

use super::whole::whole;
use crate::report::Reports;
use crate::schema::CLOUD_PROVIDER;
use crate::spec::CloudProviderSpec;
use crate::view::View;
use crate::yaml::Value;

/// The sections of settings with the name that goes with each.
const SETTINGS: [(&str, &str); 6] = [
    ("awsCloudProvider", "aws"),
    ("azureCloudProvider", "azure"),
    ("openstackCloudProvider", "openstack"),
    ("vsphereCloudProvider", "vsphere"),
    ("harvesterCloudProvider", "harvester"),
    ("customCloudProvider", ""),
];

pub(super) fn cloud_provider(view: View<'_, '_>, reports: &mut Reports<'_>) -> Option<CloudProviderSpec> {
    let secret = |name| whole(view, CLOUD_PROVIDER, name).map(Secret::new);
    let harvester = view.path.key("harvesterCloudProvider");
    let mut spec = CloudProviderSpec {
        name: view.string("name"),
        use_instance_metadata_hostname: view.flag("useInstanceMetadataHostname"),
        aws: secret("awsCloudProvider"),
        azure: secret("azureCloudProvider"),
        openstack: secret("openstackCloudProvider"),
        vsphere: secret("vsphereCloudProvider"),
        harvester: view.section("harvesterCloudProvider", &harvester).string("cloud_config").map(Secret::new),
        custom: view.string("customCloudProvider").map(Secret::new),
    };
    spec.name = name(&spec, view, reports);
    check(&spec, view, reports);
    // `rke config` writes the section with nothing in it.
    let is_silent = spec == CloudProviderSpec::default();
    (!is_silent).then_some(spec)
}

/// The provider: as in RKE 1 the last section that is there decides, and `name` only where there is none.
fn name(spec: &CloudProviderSpec, view: View<'_, '_>, reports: &mut Reports<'_>) -> Option<String> {
    let given = spec.name.as_deref();
    let with_settings = SETTINGS.into_iter().zip(given_settings(spec)).rev().find(|(_, given)| *given);
    // One with nothing in it tells the provider only where nothing else does.
    let empty = || SETTINGS[..5].iter().rfind(|(section, _)| view.entry(section).is_some()).copied();
    let decides =
        with_settings.map(|(settings, _)| settings).or_else(|| if given.is_none() { empty() } else { None });
    match (given, decides) {
        (_, None) | (Some(_), Some((_, ""))) | (Some("external-aws"), Some((_, "aws"))) => {
            given.map(str::to_owned)
        }
        (None, Some((section, ""))) => {
            reports
                .error(
                    view.path.key("name"),
                    view.span_of(section),
                    "a cloud provider of your own has no `name`",
                )
                .help("put the name that kubelet is given beside `customCloudProvider`");
            None
        }
        (given, Some((section, name))) => {
            if let Some(other) = given.filter(|other| *other != name) {
                let other = crate::conform::brief(other);
                reports
                    .warning(
                        view.path.key("name"),
                        view.span_of("name"),
                        format!("the cloud provider is `{name}`, not `{other}`"),
                    )
                    .note(format!("`{section}` decides, as it did in RKE 1"))
                    .help(format!("write `name: {name}`, or remove `{section}`"));
            } else if given.is_none() {
                reports
                    .warning(
                        view.path.key("name"),
                        view.span_of(section),
                        format!("the cloud provider has no `name`: `{name}` is taken"),
                    )
                    .help(format!("write `name: {name}` beside `{section}`"));
            }
            Some(name.to_owned())
        }
    }
}

/// What Kubernetes' provider for azure needs to find the node, and the instance could tell.
const OF_THE_INSTANCE: [&str; 5] =
    ["resourceGroup", "location", "vnetName", "subnetName", "securityGroupName"];

fn check(spec: &CloudProviderSpec, view: View<'_, '_>, reports: &mut Reports<'_>) {
    for ((section, name), _) in SETTINGS.into_iter().zip(given_settings(spec)).filter(|(_, given)| *given) {
        // A section of its own is what `customCloudProvider` stands in the place of.
        let is_used =
            if spec.custom.is_some() { section == "customCloudProvider" } else { is_of(spec, name) };
        if let Some(provider) = spec.name.as_deref().filter(|_| !is_used) {
            reports
                .warning(view.path.key(section), view.span_of(section), format!("`{section}` has no effect"))
                .note(format!("the cloud provider is `{}`", crate::conform::brief(provider)))
                .help("remove the section");
        }
    }
    if spec.custom.is_some() {
        return;
    }
    check_accounts(spec, view, reports);
    let needed: &[(&str, &[&str])] = match spec.name.as_deref() {
        Some("azure") => {
            &[("azureCloudProvider", &["tenantId", "subscriptionId", "aadClientId", "aadClientSecret"])]
        }
        Some("vsphere") => &[("vsphereCloudProvider", &[])],
        Some("openstack") => &[("openstackCloudProvider", &[])],
        Some("harvester") => &[("harvesterCloudProvider", &["cloud_config"])],
        _ => &[],
    };
    for (section, keys) in needed {
        let path = view.path.key(section);
        if view.entry(section).is_none() {
            reports
                .warning(
                    path,
                    view.span_of("name"),
                    format!("the cloud provider has no settings in `{section}`"),
                )
                .help(format!("give them under `cloud_provider.{section}`"));
            continue;
        }
        let settings = view.section(section, &path);
        let has_identity = settings.flag("useManagedIdentityExtension") == Some(true);
        let is_lacking = |key: &&str| settings.text(key).is_none();
        let mut lacking: Vec<&str> = keys.iter().copied().filter(is_lacking).collect();
        lacking.retain(|key| !has_identity || !key.starts_with("aad"));
        let of_instance = || OF_THE_INSTANCE.into_iter().filter(|_| is_of(spec, "azure")).filter(is_lacking);
        let all: Vec<String> =
            lacking.iter().copied().chain(of_instance()).map(|key| format!("`{key}`")).collect();
        if all.is_empty() {
            continue;
        }
        let help = if of_instance().next().is_none() {
            "the cloud does not answer without"
        } else if lacking.is_empty() {
            "a script in RKE's images asked the instance, windlass does not: write them"
        } else {
            "the cloud does not answer without; what a script in RKE's images asked the instance for is needed, too"
        };
        reports.warning(path, settings.head(), format!("`{section}` has no {}", all.join(", "))).help(help);
    }
}

/// Accounts without which no cloud answers: the passwords of vSphere, the users of `OpenStack`.
fn check_accounts(spec: &CloudProviderSpec, view: View<'_, '_>, reports: &mut Reports<'_>) {
    let (section, help) = match spec.name.as_deref() {
        Some("vsphere") => (
            "vsphereCloudProvider",
            "give `user` and `password` under `global`, or for each entry of `virtual_center`",
        ),
        Some("openstack") => (
            "openstackCloudProvider",
            "give `username` and `password` under `global`, or the id and secret of application credentials",
        ),
        _ => return,
    };
    let path = view.path.key(section);
    let settings = view.section(section, &path);
    if view.entry(section).is_none() {
        return;
    }
    let global_path = path.key("global");
    let global = settings.section("global", &global_path);
    let lacking = if section == "vsphereCloudProvider" {
        let has_login = |view: View<'_, '_>| view.text("user").is_some() && view.text("password").is_some();
        let centers = settings.names("virtual_center");
        let all_have = !centers.is_empty()
            && centers.iter().all(|center| match &center.value.value {
                Value::Map(entries) => has_login(View::new(entries, center.value.span, &path)),
                _ => false,
            });
        // A Secret in the cluster may hold them.
        let has_secret = global.text("secret-name").is_some();
        (!has_login(global) && !all_have && !has_secret).then_some("no `user` and `password`")
    } else {
        let is_one_of = |names: &[&str]| names.iter().any(|name| global.text(name).is_some());
        let has_user = is_one_of(&[
            "username",
            "user-id",
            "trust-id",
            "application-credential-id",
            "application-credential-name",
        ]);
        (!has_user).then_some("no account")
    };
    if let Some(lacking) = lacking {
        reports
            .warning(path, settings.head(), format!("`{section}` has {lacking}: the cloud does not answer"))
            .help(help);
    }
}

/// Whether the provider is the one of this name, within the cluster or outside of its programs.
fn is_of(spec: &CloudProviderSpec, name: &str) -> bool {
    matches!((spec.name.as_deref(), name), (Some("external-aws"), "aws"))
        || spec.name.as_deref() == Some(name)
}

/// Which of the settings are there, in the order of `SETTINGS`.
fn given_settings(spec: &CloudProviderSpec) -> [bool; 6] {
    [
        spec.aws.is_some(),
        spec.azure.is_some(),
        spec.openstack.is_some(),
        spec.vsphere.is_some(),
        spec.harvester.is_some(),
        spec.custom.is_some(),
    ]
}
