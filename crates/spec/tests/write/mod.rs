//! A desired state as a document again: JSON, which is YAML too. Every field is named, so that none can be forgotten.

use std::time::Duration;

use serde_json::{Map, Value, json};
use windlass_model::{Role, Secret};
use windlass_spec::{
    AuditLogSpec, AuthenticationSpec, AuthorizationMode, BackupSpec, BastionSpec, Cidr, CloudProviderSpec,
    ClusterSpec, DnsSpec, DrainSpec, EcrSpec, EtcdSpec, EventRateLimitSpec, IngressSpec, KubeApiSpec,
    KubeControllerSpec, KubeletSpec, MaxUnavailable, MonitoringSpec, NetworkSpec, NodeLocalDnsSpec, NodeSpec,
    NodeWindlassSpec, RegistrySpec, S3Spec, SecretsEncryptionSpec, ServiceSpec, ServicesSpec, TaintSpec,
    UpgradeSpec, WebhookSpec, WindlassSpec,
};

pub(crate) fn write(spec: &ClusterSpec) -> String {
    let ClusterSpec {
        cluster_name,
        kubernetes_version,
        nodes,
        services,
        network,
        authentication,
        authorization,
        system_images,
        private_registries,
        prefix_path,
        upgrade_strategy,
        ssh_key_path,
        ssh_cert_path,
        ssh_agent_auth,
        bastion_host,
        enable_cri_dockerd,
        cri_dockerd_stream_server_address,
        cri_dockerd_stream_server_port,
        cloud_provider,
        dns,
        ingress,
        monitoring,
        addons,
        manifests: _,
        addons_include,
        addon_job_timeout,
        windlass,
    } = spec;
    let document = json!({
        "cluster_name": cluster_name,
        "kubernetes_version": kubernetes_version.as_ref().map(ToString::to_string),
        "nodes": nodes.iter().map(node).collect::<Vec<_>>(),
        "services": services_of(services),
        "network": network_of(network),
        "authentication": authentication_of(authentication),
        "authorization": { "mode": authorization.map(|mode| match mode {
            AuthorizationMode::Rbac => "rbac",
            AuthorizationMode::None => "none",
        }) },
        "system_images": system_images,
        "private_registries": private_registries.iter().map(registry).collect::<Vec<_>>(),
        "prefix_path": prefix_path,
        "upgrade_strategy": upgrade(upgrade_strategy),
        "ssh_key_path": ssh_key_path,
        "ssh_cert_path": ssh_cert_path,
        "ssh_agent_auth": ssh_agent_auth,
        "bastion_host": bastion_host.as_ref().map(bastion),
        "enable_cri_dockerd": enable_cri_dockerd,
        "cri_dockerd_stream_server_address": cri_dockerd_stream_server_address,
        "cri_dockerd_stream_server_port": cri_dockerd_stream_server_port.map(|port| port.to_string()),
        "cloud_provider": cloud_provider.as_ref().map(cloud),
        "dns": dns_of(dns),
        "ingress": ingress_of(ingress),
        "monitoring": monitoring_of(monitoring),
        "addons": addons,
        "addons_include": addons_include,
        "addon_job_timeout": addon_job_timeout,
        "windlass": windlass_of(windlass),
    });
    serde_json::to_string_pretty(&document).unwrap()
}

fn shown<T>(secret: Option<&Secret<T>>) -> Option<&T> {
    secret.map(Secret::expose)
}

fn hours(duration: Option<Duration>) -> Option<String> {
    duration.map(|duration| format!("{}s", duration.as_secs()))
}

fn ranges(ranges: &[Cidr]) -> String {
    ranges.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

fn node(spec: &NodeSpec) -> Value {
    let NodeSpec {
        address,
        port,
        internal_address,
        role,
        hostname_override,
        user,
        docker_socket,
        ssh_agent_auth,
        ssh_key,
        ssh_key_path,
        ssh_cert,
        ssh_cert_path,
        labels,
        taints,
        windlass: NodeWindlassSpec { pod_runtime },
        node_name,
    } = spec;
    let taint = |TaintSpec { key, value, effect }: &TaintSpec| json!({ "key": key, "value": value, "effect": effect.as_str() });
    json!({
        "address": address, "port": port.map(|port| port.to_string()), "internal_address": internal_address,
        "role": role.iter().map(|role: &Role| role.as_str()).collect::<Vec<_>>(),
        "hostname_override": hostname_override, "user": user, "docker_socket": docker_socket,
        "ssh_agent_auth": ssh_agent_auth, "ssh_key": shown(ssh_key.as_ref()), "ssh_key_path": ssh_key_path,
        "ssh_cert": ssh_cert, "ssh_cert_path": ssh_cert_path, "labels": labels,
        "taints": taints.iter().map(taint).collect::<Vec<_>>(), "nodeName": node_name,
        "windlass": { "pod_runtime": pod_runtime.map(windlass_spec::PodRuntimeSpec::as_str) },
    })
}

fn registry(spec: &RegistrySpec) -> Value {
    let RegistrySpec { url, user, password, is_default, ecr_credential_plugin } = spec;
    let ecr = ecr_credential_plugin.as_ref().map(|spec| {
        let EcrSpec { access_key_id, secret_access_key, session_token } = spec;
        json!({
            "aws_access_key_id": access_key_id, "aws_secret_access_key": shown(secret_access_key.as_ref()),
            "aws_session_token": shown(session_token.as_ref()),
        })
    });
    json!({
        "url": url, "user": user, "password": shown(password.as_ref()), "is_default": is_default,
        "ecr_credential_plugin": ecr,
    })
}

fn bastion(spec: &BastionSpec) -> Value {
    let BastionSpec { address, port, user, ssh_agent_auth, ssh_key, ssh_key_path, ssh_cert, ssh_cert_path } =
        spec;
    json!({
        "address": address, "port": port.map(|port| port.to_string()), "user": user,
        "ssh_agent_auth": ssh_agent_auth, "ssh_key": shown(ssh_key.as_ref()), "ssh_key_path": ssh_key_path,
        "ssh_cert": ssh_cert, "ssh_cert_path": ssh_cert_path,
    })
}

fn upgrade(spec: &UpgradeSpec) -> Value {
    let UpgradeSpec { max_unavailable_worker, max_unavailable_controlplane, drain, node_drain_input } = spec;
    let limit = |limit: &MaxUnavailable| match limit {
        MaxUnavailable::Count(count) => count.to_string(),
        MaxUnavailable::Percent(percent) => format!("{percent}%"),
    };
    let DrainSpec { force, ignore_daemonsets, delete_local_data, grace_period, timeout } = node_drain_input;
    json!({
        "max_unavailable_worker": max_unavailable_worker.as_ref().map(limit),
        "max_unavailable_controlplane": max_unavailable_controlplane.as_ref().map(limit),
        "drain": drain,
        "node_drain_input": {
            "force": force, "ignore_daemonsets": ignore_daemonsets, "delete_local_data": delete_local_data,
            "grace_period": grace_period, "timeout": timeout,
        },
    })
}

/// The keys that every service has, and then its own.
fn service(spec: &ServiceSpec, own: Value) -> Value {
    let ServiceSpec { image, extra_args, extra_args_array, extra_binds, extra_env } = spec;
    let common = json!({
        "image": image, "extra_args": extra_args, "extra_args_array": extra_args_array,
        "extra_binds": extra_binds, "extra_env": extra_env,
    });
    let mut all = Map::new();
    for part in [common, own] {
        if let Value::Object(entries) = part {
            all.extend(entries);
        }
    }
    Value::Object(all)
}

fn services_of(spec: &ServicesSpec) -> Value {
    let ServicesSpec { etcd, kube_api, kube_controller, scheduler, kubelet, kubeproxy } = spec;
    let KubeControllerSpec { service: controller, cluster_cidr, service_cluster_ip_range } = kube_controller;
    let KubeletSpec {
        service: of_kubelet,
        cluster_domain,
        cluster_dns_server,
        infra_container_image,
        fail_swap_on,
        generate_serving_certificate,
    } = kubelet;
    json!({
        "etcd": etcd_of(etcd),
        "kube-api": kube_api_of(kube_api),
        "kube-controller": service(controller, json!({
            "cluster_cidr": ranges(cluster_cidr), "service_cluster_ip_range": ranges(service_cluster_ip_range),
        })),
        "scheduler": service(scheduler, json!({})),
        "kubelet": service(of_kubelet, json!({
            "cluster_domain": cluster_domain, "cluster_dns_server": cluster_dns_server,
            "infra_container_image": infra_container_image, "fail_swap_on": fail_swap_on,
            "generate_serving_certificate": generate_serving_certificate,
        })),
        "kubeproxy": service(kubeproxy, json!({})),
    })
}

fn etcd_of(spec: &EtcdSpec) -> Value {
    let EtcdSpec {
        service: common,
        uid,
        gid,
        snapshot,
        retention,
        creation,
        backup_config,
        external_urls,
        ca_cert,
        cert,
        key,
        path,
    } = spec;
    let backup = backup_config.as_ref().map(|spec| {
        let BackupSpec { enabled, interval_hours, retention, safe_timestamp, timeout, s3 } = spec;
        let s3 = s3.as_ref().map(|spec| {
            let S3Spec { access_key, secret_key, bucket_name, endpoint, region, folder, custom_ca } = spec;
            json!({
                "access_key": shown(access_key.as_ref()), "secret_key": shown(secret_key.as_ref()),
                "bucket_name": bucket_name, "endpoint": endpoint, "region": region, "folder": folder,
                "custom_ca": custom_ca,
            })
        });
        json!({
            "enabled": enabled, "interval_hours": interval_hours, "retention": retention,
            "safe_timestamp": safe_timestamp, "timeout": timeout, "s3backupconfig": s3,
        })
    });
    service(
        common,
        json!({
            "uid": uid, "gid": gid, "snapshot": snapshot, "retention": hours(*retention),
            "creation": hours(*creation), "backup_config": backup, "external_urls": external_urls,
            "ca_cert": ca_cert, "cert": cert, "key": shown(key.as_ref()), "path": path,
        }),
    )
}

fn kube_api_of(spec: &KubeApiSpec) -> Value {
    let KubeApiSpec {
        service: common,
        service_cluster_ip_range,
        service_node_port_range,
        pod_security_policy,
        always_pull_images,
        audit_log,
        pod_security,
        secrets_encryption,
        admission_configuration,
        event_rate_limit,
    } = spec;
    let audit = audit_log.as_ref().map(|spec| {
        let AuditLogSpec { enabled, has_configuration, max_age, max_backup, max_size, path, format, policy } =
            spec;
        let configuration = has_configuration.then(|| {
            json!({
                "max_age": max_age, "max_backup": max_backup, "max_size": max_size, "path": path,
                "format": format, "policy": policy,
            })
        });
        json!({ "enabled": enabled, "configuration": configuration })
    });
    let encryption = secrets_encryption.as_ref().map(|spec| {
        let SecretsEncryptionSpec { enabled, custom_config } = spec;
        json!({ "enabled": enabled, "custom_config": shown(custom_config.as_ref()) })
    });
    let limit = event_rate_limit.as_ref().map(|spec| {
        let EventRateLimitSpec { enabled, configuration } = spec;
        json!({ "enabled": enabled, "configuration": configuration })
    });
    service(
        common,
        json!({
            "service_cluster_ip_range": ranges(service_cluster_ip_range),
            "service_node_port_range": service_node_port_range.map(|range| range.to_string()),
            "pod_security_policy": pod_security_policy, "always_pull_images": always_pull_images, "audit_log": audit,
            "pod_security_configuration": pod_security.map(windlass_spec::PodSecurity::as_str),
            "secrets_encryption_config": encryption, "admission_configuration": admission_configuration,
            "event_rate_limit": limit,
        }),
    )
}

fn network_of(spec: &NetworkSpec) -> Value {
    let NetworkSpec {
        plugin,
        options,
        mtu,
        node_selector,
        update_strategy,
        tolerations,
        calico_cloud_provider,
        canal_iface,
        flannel_iface,
        weave_password,
        aci,
    } = spec;
    json!({
        "plugin": plugin.map(windlass_spec::NetworkPlugin::as_str), "options": options, "mtu": mtu,
        "node_selector": node_selector, "update_strategy": update_strategy, "tolerations": tolerations,
        "calico_network_provider": { "cloudprovider": calico_cloud_provider },
        "canal_network_provider": { "iface": canal_iface },
        "flannel_network_provider": { "iface": flannel_iface },
        "weave_network_provider": { "password": shown(weave_password.as_ref()) },
        "aci_network_provider": shown(aci.as_ref()),
    })
}

fn authentication_of(spec: &AuthenticationSpec) -> Value {
    let AuthenticationSpec { strategy, sans, webhook } = spec;
    let webhook = webhook.as_ref().map(|spec| {
        let WebhookSpec { config_file, cache_timeout } = spec;
        json!({ "config_file": shown(config_file.as_ref()), "cache_timeout": cache_timeout })
    });
    json!({ "strategy": strategy.join("|"), "sans": sans, "webhook": webhook })
}

fn cloud(spec: &CloudProviderSpec) -> Value {
    let CloudProviderSpec {
        name,
        use_instance_metadata_hostname,
        aws,
        azure,
        openstack,
        vsphere,
        harvester,
        custom,
    } = spec;
    json!({
        "name": name, "useInstanceMetadataHostname": use_instance_metadata_hostname,
        "awsCloudProvider": shown(aws.as_ref()), "azureCloudProvider": shown(azure.as_ref()),
        "openstackCloudProvider": shown(openstack.as_ref()), "vsphereCloudProvider": shown(vsphere.as_ref()),
        "harvesterCloudProvider": harvester.as_ref().map(|config| json!({ "cloud_config": config.expose() })),
        "customCloudProvider": shown(custom.as_ref()),
    })
}

fn dns_of(spec: &DnsSpec) -> Value {
    let DnsSpec {
        provider,
        options,
        upstream_nameservers,
        reverse_cidrs,
        stub_domains,
        node_selector,
        node_local,
        update_strategy,
        linear_autoscaler_params,
        tolerations,
    } = spec;
    let local = node_local.as_ref().map(|spec| {
        let NodeLocalDnsSpec { ip_address, update_strategy, node_selector, priority_class_name } = spec;
        json!({
            "ip_address": ip_address, "update_strategy": update_strategy, "node_selector": node_selector,
            "node_local_dns_priority_class_name": priority_class_name,
        })
    });
    json!({
        "provider": provider, "options": options, "upstreamnameservers": upstream_nameservers,
        "reversecidrs": reverse_cidrs, "stubdomains": stub_domains, "node_selector": node_selector,
        "nodelocal": local, "update_strategy": update_strategy,
        "linear_autoscaler_params": linear_autoscaler_params, "tolerations": tolerations,
    })
}

fn ingress_of(spec: &IngressSpec) -> Value {
    let IngressSpec {
        provider,
        options,
        node_selector,
        extra_args,
        dns_policy,
        extra_envs,
        extra_volumes,
        extra_volume_mounts,
        update_strategy,
        http_port,
        https_port,
        network_mode,
        tolerations,
        default_backend,
        default_backend_priority_class_name,
        controller_priority_class_name,
        default_ingress_class,
    } = spec;
    json!({
        "provider": provider, "options": options, "node_selector": node_selector, "extra_args": extra_args,
        "dns_policy": dns_policy, "extra_envs": extra_envs, "extra_volumes": extra_volumes,
        "extra_volume_mounts": extra_volume_mounts, "update_strategy": update_strategy, "http_port": http_port,
        "https_port": https_port, "network_mode": network_mode, "tolerations": tolerations,
        "default_backend": default_backend,
        "default_http_backend_priority_class_name": default_backend_priority_class_name,
        "nginx_ingress_controller_priority_class_name": controller_priority_class_name,
        "default_ingress_class": default_ingress_class,
    })
}

fn monitoring_of(spec: &MonitoringSpec) -> Value {
    let MonitoringSpec {
        provider,
        options,
        node_selector,
        update_strategy,
        replicas,
        tolerations,
        priority_class_name,
    } = spec;
    json!({
        "provider": provider, "options": options, "node_selector": node_selector,
        "update_strategy": update_strategy, "replicas": replicas, "tolerations": tolerations,
        "metrics_server_priority_class_name": priority_class_name,
    })
}

fn windlass_of(spec: &WindlassSpec) -> Value {
    let WindlassSpec {
        endpoint,
        certificate_validity,
        pod_runtime,
        token_issuer,
        drain_leaving,
        snapshot_before_upgrade,
        ledger_in_cluster,
        local_ports,
        checksums,
        links,
    } = spec;
    json!({
        "checksums": checksums,
        "links": links,
        "token_issuer": token_issuer,
        "drain_leaving": drain_leaving,
        "snapshot_before_upgrade": snapshot_before_upgrade,
        "ledger_in_cluster": ledger_in_cluster.map(windlass_spec::LedgerInClusterSpec::as_str),
        "local_ports": local_ports.map(windlass_spec::LocalPortsSpec::as_str),
        "pod_runtime": pod_runtime.map(windlass_spec::PodRuntimeSpec::as_str),
        "endpoint": endpoint.as_ref().map(ToString::to_string),
        "certificate_validity": hours(*certificate_validity),
    })
}
