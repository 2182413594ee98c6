//! The complete input of one planning as a document, from which the same can be planned again.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::container::ContainerSpec;
use crate::intent::Intent;
use crate::inventory::{Inventory, NodeSeen};
use crate::objects::ObjectsSeen;

/// The input of one planning. It contains no secret: values of environment variables and of Secrets
/// are numbered, so that equal ones stay equal and different ones different.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replay {
    /// The name and number of this format.
    pub schema: ReplaySchema,
    /// The version of windlass that planned.
    pub windlass: String,
    /// The goal of the run, with the desired state.
    pub intent: Intent,
    /// What was seen.
    pub inventory: Inventory,
}

/// The formats of a [`Replay`]; a reader refuses every other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReplaySchema {
    /// The first.
    #[serde(rename = "windlass/replay/1")]
    V1,
}

impl Replay {
    /// The document of a planning by this version of windlass.
    pub fn new(windlass: &str, mut intent: Intent, inventory: &Inventory) -> Self {
        let mut inventory = inventory.clone();
        let mut numbers = Numbers::default();
        let blueprint = Arc::make_mut(intent.desired_mut());
        let desired = blueprint.nodes.values_mut().flat_map(|node| node.containers.values_mut());
        desired.for_each(|desired| numbers.hide(&mut desired.spec));
        let objects = blueprint.addons.values_mut().flat_map(|addon| &mut addon.objects);
        for desired in objects.filter(|desired| desired.object.is_secret()) {
            numbers.hide_data(&mut desired.body);
        }
        if let ObjectsSeen::Seen { objects, noted: _ } = &mut inventory.objects {
            for seen in objects.iter_mut().filter(|seen| seen.object.is_secret()) {
                numbers.hide_data(&mut seen.body);
            }
        }
        for node in inventory.nodes.values_mut() {
            if let NodeSeen::InSight(facts) = node {
                facts.containers.values_mut().for_each(|seen| numbers.hide(&mut seen.spec));
            }
        }
        Self { schema: ReplaySchema::V1, windlass: windlass.to_owned(), intent, inventory }
    }
}

/// The values hidden so far, in the order of their numbers.
#[derive(Default)]
struct Numbers(BTreeMap<Arc<str>, usize>);

impl Numbers {
    fn hide(&mut self, spec: &mut Arc<ContainerSpec>) {
        if spec.env.is_empty() {
            return;
        }
        for value in Arc::make_mut(spec).env.values_mut() {
            *value = self.hidden(value).into();
        }
    }

    fn hide_data(&mut self, body: &mut Arc<Value>) {
        let body = Arc::make_mut(body);
        // kubectl keeps what it applied in an annotation.
        if let Some(annotations) = body["metadata"]["annotations"].as_object_mut() {
            annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
        }
        for value in body["data"].as_object_mut().into_iter().flat_map(Map::values_mut) {
            *value = Value::String(self.hidden(&value.to_string()));
        }
    }

    fn hidden(&mut self, value: &str) -> String {
        let next = self.0.len() + 1;
        let number = *self.0.entry(value.into()).or_insert(next);
        format!("«value {number}»")
    }
}
