//! Objects as `meta.k8s.io` Tables: what `kubectl get` prints.
//!
//! Each kind has its columns and a function from an object to cells, in a file
//! for each family; custom kinds have theirs from `additionalPrinterColumns`
//! (`custom`). Kinds without either show name and creation.

mod access;
mod age;
mod apps;
mod autoscaling;
mod batch;
mod cells;
mod cluster;
mod core;
mod custom;
mod events;
mod jsonpath;
mod networking;
mod pods;
mod storage;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::registry::Resource;

/// Name, type and priority of a column.
type Column = (&'static str, &'static str, u8);

/// How a kind is shown.
pub(super) struct Printer {
    pub columns: &'static [Column],
    pub cells: fn(&Value, Timestamp) -> Vec<Value>,
}

/// What a row carries beside its cells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Include {
    None,
    #[default]
    Metadata,
    Object,
}

impl Include {
    /// The `includeObject` of a query; what is not known there is the default.
    pub fn parse(text: &str) -> Self {
        match text {
            "None" => Self::None,
            "Object" => Self::Object,
            _ => Self::Metadata,
        }
    }
}

/// How tables of one kind are made; one serves a whole list or watch.
pub(crate) struct Tables<'a> {
    resource: &'a Resource,
    printer: Option<&'static Printer>,
    custom: Vec<custom::Column<'a>>,
    /// `v1` or `v1beta1` of meta.k8s.io.
    version: &'a str,
    include: Include,
}

impl<'a> Tables<'a> {
    pub fn new(resource: &'a Resource, version: &'a str, include: Include) -> Self {
        let printer = if resource.custom { None } else { printer(&resource.group, &resource.kind) };
        let custom = if resource.custom { custom::columns(&resource.columns) } else { Vec::new() };
        Self { resource, printer, custom, version, include }
    }

    /// A whole table; `metadata` is that of the list.
    pub fn render<'o>(
        &self,
        objects: impl IntoIterator<Item = &'o Value>,
        metadata: &Value,
        with_columns: bool,
        now: Timestamp,
    ) -> Value {
        let rows: Vec<Value> = objects.into_iter().map(|it| self.row(it, now)).collect();
        json!({
            "kind": "Table",
            "apiVersion": format!("meta.k8s.io/{}", self.version),
            "metadata": metadata,
            // A watch tells the columns with its first table only.
            "columnDefinitions": if with_columns { self.columns() } else { Value::Null },
            "rows": rows,
        })
    }

    fn columns(&self) -> Value {
        let definition = |name: &str, kind: &str, format: &str, about: &str, priority: i32| {
            json!({"name": name, "type": kind, "format": format, "description": about,
                "priority": priority})
        };
        let plain = |(name, kind, priority): &Column| {
            let format = if *name == "Name" { "name" } else { "" };
            definition(name, kind, format, "", i32::from(*priority))
        };
        if let Some(printer) = self.printer {
            return printer.columns.iter().map(plain).collect();
        }
        if !self.resource.custom {
            return [("Name", "string", 0), ("Created At", "date", 0)].iter().map(plain).collect();
        }
        let name = plain(&("Name", "string", 0));
        let own = self.custom.iter().map(|it| {
            let it = it.column;
            definition(&it.name, &it.column_type, &it.format, &it.description, it.priority)
        });
        std::iter::once(name).chain(own).collect()
    }

    fn row(&self, object: &Value, now: Timestamp) -> Value {
        let cells = match self.printer {
            Some(printer) => (printer.cells)(object, now),
            None if self.resource.custom => custom::cells(&self.custom, object, now),
            None => vec![cells::name(object), object["metadata"]["creationTimestamp"].clone()],
        };
        let mut row = json!({ "cells": cells });
        match self.include {
            Include::None => {}
            Include::Object => row["object"] = object.clone(),
            Include::Metadata => {
                row["object"] = json!({
                    "kind": "PartialObjectMetadata",
                    "apiVersion": format!("meta.k8s.io/{}", self.version),
                    "metadata": object["metadata"],
                });
            }
        }
        if let Some(condition) = pods::condition(self.resource, object) {
            row["conditions"] = json!([condition]);
        }
        row
    }
}

fn printer(group: &str, kind: &str) -> Option<&'static Printer> {
    match group {
        "" if kind == "Pod" => Some(&pods::POD),
        "" | "events.k8s.io" if kind == "Event" => Some(&events::EVENT),
        "" => core::printer(kind),
        "apps" => apps::printer(kind),
        "batch" => batch::printer(kind),
        "autoscaling" | "policy" => autoscaling::printer(kind),
        "networking.k8s.io" | "discovery.k8s.io" => networking::printer(kind),
        "storage.k8s.io" => storage::printer(kind),
        "rbac.authorization.k8s.io" | "admissionregistration.k8s.io" => access::printer(kind),
        _ => cluster::printer(kind),
    }
}
