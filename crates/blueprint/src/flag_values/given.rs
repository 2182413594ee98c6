//! The flags that a component gets: those of cluster.yml with their places, and windlass' own.

use windlass_model::{Component, Role};

use super::go::is_true;
use crate::catalog::Minor;
use crate::cluster::Cluster;
use crate::services::{name_of_flag, service_of};
use crate::values::ClusterValues;

/// The flags that a component gets, with the places of those that cluster.yml gives.
pub(super) struct Flags<'a> {
    pub(super) component: Component,
    cluster: &'a Cluster<'a>,
    values: ClusterValues,
}

/// The value that counts, and its place if it is of cluster.yml.
#[derive(Clone, Debug)]
pub(super) struct Given {
    pub(super) value: String,
    pub(super) place: Option<String>,
}

/// The place to report two values at: that of the first that cluster.yml gives; none where it gives none.
pub(super) fn place<'g>(given: &[&'g Given]) -> Option<&'g str> {
    given.iter().find_map(|given| given.place.as_deref())
}

impl<'a> Flags<'a> {
    pub(super) fn of(component: Component, cluster: &'a Cluster<'a>) -> Self {
        Self { component, cluster, values: ClusterValues::new(cluster, "") }
    }

    /// The value that cluster.yml gives.
    pub(super) fn of_file(&self, flag: &str) -> Option<Given> {
        let (service, path) = service_of(self.component, self.cluster)?;
        let argument = service.argument(flag)?;
        Some(Given { value: argument.value.to_owned(), place: Some(format!("{path}.{}", argument.path())) })
    }

    /// The value that counts: of cluster.yml, or windlass' own.
    pub(super) fn get(&self, flag: &str) -> Option<Given> {
        self.of_file(flag).or_else(|| self.own(flag))
    }

    /// The value that windlass gives.
    fn own(&self, flag: &str) -> Option<Given> {
        let recipe = self.cluster.catalog.recipe(self.component)?;
        let setting = self.cluster.setting();
        let mut texts = recipe.flags.iter().filter_map(|entry| entry.text_in(&setting));
        let own = texts.find(|template| template.flag().trim_start_matches("--") == flag)?;
        let text = own.fill(|name| self.values.text(name))?;
        let (_, value) = text.split_once('=')?;
        Some(Given { value: value.to_owned(), place: None })
    }

    /// The value of a flag that is a list: what is under `extra_args_array` comes behind the rest.
    fn list(&self, flag: &str, rest: Option<Given>) -> Option<Given> {
        let (service, path) = service_of(self.component, self.cluster)?;
        let mut list = rest;
        for (name, values) in &service.extra_args_array {
            if name_of_flag(self.component, name) != flag {
                continue;
            }
            let before = list.into_iter().map(|list| list.value);
            list = Some(Given {
                value: before.chain(values.iter().cloned()).collect::<Vec<_>>().join(","),
                place: Some(format!("{path}.extra_args_array.{name}")),
            });
        }
        list
    }

    /// The list that cluster.yml gives.
    pub(super) fn list_of_file(&self, flag: &str) -> Option<Given> {
        let (service, path) = service_of(self.component, self.cluster)?;
        let mut single =
            service.extra_args.iter().filter(|(name, _)| name_of_flag(self.component, name) == flag);
        let single = single.next().map(|(name, value)| Given {
            value: value.clone(),
            place: Some(format!("{path}.extra_args.{name}")),
        });
        self.list(flag, single)
    }

    /// The list that counts.
    pub(super) fn whole_list(&self, flag: &str) -> Option<Given> {
        let (service, _) = service_of(self.component, self.cluster)?;
        let is_replaced = service.extra_args.keys().any(|name| name_of_flag(self.component, name) == flag);
        if is_replaced { self.list_of_file(flag) } else { self.list(flag, self.own(flag)) }
    }

    /// The value that counts, or else the component's own default.
    pub(super) fn get_or(&self, flag: &str, default: &str) -> Given {
        self.get(flag).unwrap_or_else(|| Given { value: default.to_owned(), place: None })
    }

    /// Where cluster.yml gives a flag, with one value or with several.
    pub(super) fn place_of(&self, flag: &str) -> Option<String> {
        let (service, path) = service_of(self.component, self.cluster)?;
        let given = |section, names: Vec<&String>| {
            let name = names.into_iter().find(|name| name_of_flag(self.component, name) == flag)?;
            Some(format!("{path}.{section}.{name}"))
        };
        given("extra_args", service.extra_args.keys().collect())
            .or_else(|| given("extra_args_array", service.extra_args_array.keys().collect()))
    }

    /// All values that cluster.yml gives a flag.
    pub(super) fn values_of(&self, flag: &str) -> Vec<String> {
        let Some((service, _)) = service_of(self.component, self.cluster) else { return Vec::new() };
        let is_it = |name: &str| name_of_flag(self.component, name) == flag;
        let single = service.extra_args.iter().filter(|(name, _)| is_it(name)).map(|(_, value)| value);
        let several = service.extra_args_array.iter().filter(|(name, _)| is_it(name));
        single.chain(several.flat_map(|(_, values)| values)).cloned().collect()
    }

    /// Whether windlass gives the flag, with a value of each node's own or with one for all.
    pub(super) fn is_given_by_windlass(&self, flag: &str) -> bool {
        let Some(recipe) = self.cluster.catalog.recipe(self.component) else { return false };
        let setting = self.cluster.setting();
        let mut texts = recipe.flags.iter().filter_map(|entry| entry.text_in(&setting));
        texts.any(|template| template.flag().trim_start_matches("--") == flag)
    }

    /// The variables that cluster.yml gives, by name, with their values and places.
    pub(super) fn variables(&self) -> Vec<(&str, Given)> {
        let Some((service, path)) = service_of(self.component, self.cluster) else { return Vec::new() };
        let variables = service.extra_env.iter().enumerate();
        let named = variables.filter_map(|(index, text)| {
            let (name, value) = text.split_once('=')?;
            let place = Some(format!("{path}.extra_env[{index}]"));
            Some((name, Given { value: value.to_owned(), place }))
        });
        named.collect()
    }

    /// The value that cluster.yml gives etcd, by the flag or by its variable.
    pub(super) fn of_file_or_variable(&self, flag: &str) -> Option<Given> {
        let of_variable = || {
            let name = format!("ETCD_{}", flag.to_ascii_uppercase().replace('-', "_"));
            self.variables().into_iter().rev().find(|(other, _)| *other == name).map(|(_, given)| given)
        };
        self.of_file(flag).or_else(of_variable)
    }

    /// Whether cluster.yml switches a feature gate on or off, by its name or with all of its stage.
    pub(super) fn gate(&self, gate: &str, stage: &str) -> Option<bool> {
        let list = self.list_of_file("feature-gates")?.value;
        let is_on = |name: &str| {
            let mut gates = list.split(',').filter_map(|part| part.split_once('='));
            gates.rfind(|(given, _)| given.trim() == name).map(|(_, state)| is_true(state.trim()))
        };
        is_on(gate).or_else(|| is_on(stage))
    }

    /// How many nodes have a role.
    pub(super) fn nodes(&self, role: Role) -> usize {
        self.cluster.nodes.values().filter(|node| node.has(role)).count()
    }

    /// The minor version of Kubernetes.
    pub(super) fn minor(&self) -> Minor {
        Minor::of(&self.cluster.images.version)
    }

    /// The minor version of etcd, where it is known.
    pub(super) fn minor_of_etcd(&self) -> Option<Minor> {
        self.cluster.images.etcd.map(Minor::of_etcd)
    }

    pub(super) fn at_least(&self, major: u32, minor: u32) -> bool {
        self.cluster.images.version.at_least(major, minor)
    }
}
