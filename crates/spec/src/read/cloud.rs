//! Reads `cloud_provider`, and checks that its parts belong together.

use windlass_model::Secret;

use super::whole::whole;
use crate::report::Reports;
use crate::schema::CLOUD_PROVIDER;
use crate::spec::CloudProviderSpec;
use crate::view::View;

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
    let spec = CloudProviderSpec {
        name: view.string("name"),
        use_instance_metadata_hostname: view.flag("useInstanceMetadataHostname"),
        aws: secret("awsCloudProvider"),
        azure: secret("azureCloudProvider"),
        openstack: secret("openstackCloudProvider"),
        vsphere: secret("vsphereCloudProvider"),
        harvester: view.section("harvesterCloudProvider", &harvester).string("cloud_config").map(Secret::new),
        custom: view.string("customCloudProvider").map(Secret::new),
    };
    check(&spec, view, reports);
    // `rke config` writes the section with nothing in it.
    let is_silent = spec == CloudProviderSpec::default();
    (!is_silent).then_some(spec)
}

fn check(spec: &CloudProviderSpec, view: View<'_, '_>, reports: &mut Reports<'_>) {
    let given = [
        spec.aws.is_some(),
        spec.azure.is_some(),
        spec.openstack.is_some(),
        spec.vsphere.is_some(),
        spec.harvester.is_some(),
        spec.custom.is_some(),
    ];
    for ((section, name), _) in SETTINGS.into_iter().zip(given).filter(|(_, given)| *given) {
        match (spec.name.as_deref(), name) {
            (None, "") => {
                reports
                    .error(
                        view.path.key("name"),
                        view.span_of(section),
                        "a cloud provider of your own has no `name`",
                    )
                    .help("name it beside `customCloudProvider`, as kubelet is to be told it");
            }
            (None, name) => {
                reports
                    .error(view.path.key("name"), view.span_of(section), "the cloud provider has no `name`")
                    .help(format!("write `name: {name}` beside `{section}`"));
            }
            (Some(other), name) if !name.is_empty() && other != name => {
                reports
                    .warning(
                        view.path.key(section),
                        view.span_of(section),
                        format!("`{section}` has no effect"),
                    )
                    .note(format!("the cloud provider is `{}`", crate::conform::brief(other)))
                    .help(format!("write `name: {name}`, or remove the section"));
            }
            _ => {}
        }
    }
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
        for key in keys.iter().filter(|key| settings.text(key).is_none()) {
            if has_identity && key.starts_with("aad") {
                continue;
            }
            reports
                .warning(path.key(key), settings.head(), format!("`{section}` has no `{key}`"))
                .help("the cloud will not answer without it");
        }
    }
}
