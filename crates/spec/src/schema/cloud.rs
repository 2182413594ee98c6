//! `cloud_provider`: the settings of the cloud that the nodes run in.

use super::Kind::{Number, SectionMap};
use super::{Key, flag, integer, key, secret, section, text};

pub(crate) const CLOUD_PROVIDER: &[Key] = &[
    text(
        "name",
        "aws, azure, openstack, vsphere, harvester, external-aws, or another that runs in the cluster",
    ),
    flag("useInstanceMetadataHostname", "name nodes as the cloud does, not by `hostname_override`")
        .or("false"),
    section("awsCloudProvider", AWS, "settings of aws"),
    section("azureCloudProvider", AZURE, "settings of azure"),
    section("openstackCloudProvider", OPENSTACK, "settings of openstack"),
    section("vsphereCloudProvider", VSPHERE, "settings of vsphere"),
    section("harvesterCloudProvider", HARVESTER, "settings of harvester"),
    secret("customCloudProvider", "the whole configuration file of a provider by `name`"),
];

const AWS: &[Key] = &[
    section("global", AWS_GLOBAL, "of the account and its network"),
    key("service_override", SectionMap(AWS_OVERRIDE), "other endpoints, by a name of your choice"),
];

const AWS_GLOBAL: &[Key] = &[
    text("zone", "the availability zone"),
    text("vpc", "the network that the nodes are in"),
    text("subnet-id", "the subnet of load balancers"),
    text("routetable-id", "the table of routes"),
    text("role-arn", "the role to take on"),
    text("kubernetes-cluster-tag", "the tag of the cluster's resources, in its old form"),
    text("kubernetes-cluster-id", "the name of the cluster in tags"),
    flag("disable-security-group-ingress", "make no rules for load balancers").or("false"),
    text("elb-security-group", "the security group of all load balancers"),
    flag("disable-strict-zone-check", "take a zone that is not known").or("false"),
];

const AWS_OVERRIDE: &[Key] = &[
    text("service", "the service, such as ec2"),
    text("region", "the region"),
    text("url", "the endpoint"),
    text("signing-region", "the region that requests are signed for"),
    text("signing-method", "the method of signing"),
    text("signing-name", "the name of signing"),
];

const AZURE: &[Key] = &[
    text("cloud", "the cloud"),
    text("tenantId", "the tenant").or("needed with azure"),
    text("subscriptionId", "the subscription").or("needed with azure"),
    text("resourceGroup", "the resource group"),
    text("location", "the location"),
    text("vnetName", "the virtual network"),
    text("vnetResourceGroup", "the resource group of the virtual network"),
    text("subnetName", "the subnet"),
    text("securityGroupName", "the security group"),
    text("securityGroupResourceGroup", "the resource group of the security group"),
    text("routeTableName", "the table of routes"),
    text("primaryAvailabilitySetName", "the availability set behind load balancers"),
    text("vmType", "vmss or standard"),
    text("primaryScaleSetName", "the scale set behind load balancers"),
    text("aadClientId", "the client"),
    secret("aadClientSecret", "its secret"),
    text("aadClientCertPath", "the file of its certificate"),
    secret("aadClientCertPassword", "the password of its certificate"),
    flag("cloudProviderBackoff", "wait longer after each failure"),
    integer("cloudProviderBackoffRetries", "how often"),
    // RKE 1 had whole numbers here; the file of the provider has fractions.
    key("cloudProviderBackoffExponent", Number, "how much longer"),
    integer("cloudProviderBackoffDuration", "seconds before the first retry"),
    key("cloudProviderBackoffJitter", Number, "how much of it is left to chance"),
    flag("cloudProviderRateLimit", "limit the calls to the cloud"),
    key("cloudProviderRateLimitQPS", Number, "calls a second"),
    integer("cloudProviderRateLimitBucket", "calls at once"),
    flag("useInstanceMetadata", "ask the instance's metadata"),
    flag("useManagedIdentityExtension", "take the machine's own identity"),
    text("userAssignedIdentityID", "the client of the identity"),
    integer("maximumLoadBalancerRuleCount", "how many rules a load balancer may have"),
    text("loadBalancerSku", "basic or standard"),
    flag("excludeMasterFromStandardLB", "leave the control plane out of load balancers"),
    text("tags", "tags of the resources, as `a=b,c=d`"),
];

const OPENSTACK: &[Key] = &[
    section("global", OPENSTACK_GLOBAL, "of the account"),
    section("load_balancer", OPENSTACK_BALANCER, "of load balancers"),
    section("block_storage", OPENSTACK_STORAGE, "of volumes"),
    section("route", &[text("router-id", "the router")], "of routes"),
    section("metadata", OPENSTACK_METADATA, "of the instance's metadata"),
];

const OPENSTACK_GLOBAL: &[Key] = &[
    text("auth-url", "the identity service").or("needed with openstack"),
    text("username", "the user"),
    text("user-id", "the user by number"),
    secret("password", "the password"),
    text("tenant-id", "the project by number"),
    text("tenant-name", "the project"),
    text("trust-id", "the trust"),
    text("domain-id", "the domain by number"),
    text("domain-name", "the domain"),
    text("region", "the region"),
    text("ca-file", "the file of the service's CA"),
];

const OPENSTACK_BALANCER: &[Key] = &[
    text("lb-version", "the version of the service"),
    flag("use-octavia", "ask Octavia"),
    text("subnet-id", "the subnet of load balancers"),
    text("floating-network-id", "the network of floating addresses"),
    text("lb-method", "how requests are spread"),
    text("lb-provider", "the provider"),
    flag("create-monitor", "watch the members"),
    text("monitor-delay", "time between two looks"),
    text("monitor-timeout", "time that a look may take"),
    integer("monitor-max-retries", "looks that may fail"),
    flag("manage-security-groups", "make rules for load balancers"),
];

const OPENSTACK_STORAGE: &[Key] = &[
    text("bs-version", "the version of the service"),
    flag("trust-device-path", "believe the paths of devices"),
    flag("ignore-volume-az", "take volumes of other zones"),
];

const OPENSTACK_METADATA: &[Key] = &[
    text("search-order", "where metadata is looked for"),
    integer("request-timeout", "seconds that it may take"),
];

const VSPHERE: &[Key] = &[
    section("global", VSPHERE_GLOBAL, "of all centers"),
    key("virtual_center", SectionMap(VSPHERE_CENTER), "each center by its host"),
    section("network", &[text("public-network", "the network of the nodes' addresses")], "of networks"),
    section("disk", &[text("scsicontrollertype", "the controller of disks")], "of disks"),
    section("workspace", VSPHERE_WORKSPACE, "where volumes are made"),
];

const VSPHERE_GLOBAL: &[Key] = &[
    text("user", "the user"),
    secret("password", "the password"),
    text("server", "the center"),
    text("port", "its port"),
    flag("insecure-flag", "do not verify certificates"),
    text("datacenter", "the data centre"),
    text("datacenters", "the data centres, with commas between"),
    text("datastore", "the data store"),
    text("working-dir", "the folder of the machines"),
    integer("soap-roundtrip-count", "how often a call is tried"),
    text("vm-uuid", "the machine by number"),
    text("vm-name", "the machine"),
];

const VSPHERE_CENTER: &[Key] = &[
    text("user", "the user"),
    secret("password", "the password"),
    text("port", "its port"),
    text("datacenters", "the data centres, with commas between"),
    integer("soap-roundtrip-count", "how often a call is tried"),
];

const VSPHERE_WORKSPACE: &[Key] = &[
    text("server", "the center"),
    text("datacenter", "the data centre"),
    text("folder", "the folder of volumes"),
    text("default-datastore", "the data store"),
    text("resourcepool-path", "the pool of resources"),
];

const HARVESTER: &[Key] = &[secret("cloud_config", "the kubeconfig of the Harvester cluster")];
