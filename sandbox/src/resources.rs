//! The kinds a cluster serves: the built-in ones, and those that definitions add.
//!
//! Owns names, scope, versions and types. Never holds an object.

use std::sync::{Arc, LazyLock, OnceLock};

use serde_json::Value;

use crate::{
    schema::{Rules, Type, custom_type, table},
    tables::{PrinterColumn, printer_columns},
};

/// The kind of definitions, which add kinds.
pub(crate) const DEFINITIONS: &str = "customresourcedefinitions.apiextensions.k8s.io";

/// Built-in kinds without a status subresource whose objects count generations.
const COUNTED: [&str; 8] = [
    "MutatingWebhookConfiguration",
    "ValidatingWebhookConfiguration",
    "ValidatingAdmissionPolicyBinding",
    "MutatingAdmissionPolicy",
    "MutatingAdmissionPolicyBinding",
    "NetworkPolicy",
    "IngressClass",
    "PriorityClass",
];

/// Built-in kinds with a status subresource whose objects do not count generations.
const UNCOUNTED: [&str; 9] = [
    "APIService",
    "HorizontalPodAutoscaler",
    "Namespace",
    "Node",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "ResourceQuota",
    "Service",
    "VolumeAttachment",
];

/// A kind of object.
#[derive(Clone, Debug)]
pub(crate) struct Resource {
    /// `deployments.apps`: names it within a cluster.
    pub(crate) id: Arc<str>,
    pub(crate) group: String,
    pub(crate) kind: String,
    pub(crate) list_kind: String,
    pub(crate) plural: String,
    pub(crate) singular: String,
    pub(crate) namespaced: bool,
    pub(crate) short: Vec<String>,
    pub(crate) categories: Vec<String>,
    /// The served versions, the preferred one first.
    pub(crate) versions: Vec<Version>,
    pub(crate) custom: bool,
    /// The only version that can be spoken, where others are converted by a webhook.
    pub(crate) only: Option<String>,
    /// The type of the version in which objects are kept, where there are several.
    pub(crate) stored: Option<Type>,
}

/// One served version.
#[derive(Clone, Debug)]
pub(crate) struct Version {
    pub(crate) name: String,
    pub(crate) ty: Type,
    /// Whether status is a subresource.
    pub(crate) status: bool,
    /// Where replicas are, if scale is a subresource.
    pub(crate) scale: Option<Scale>,
    /// A definition's own columns of tables.
    pub(crate) columns: Vec<PrinterColumn>,
    /// What a definition says about values, made when the first object is written: most kinds of most
    /// clusters have none. A changed definition is served anew, and begins anew.
    pub(crate) rules: OnceLock<Rules>,
}

/// JSON pointers of the parts of an object that its `Scale` shows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Scale {
    pub(crate) spec: String,
    pub(crate) status: String,
    /// A label selector, or one in a line.
    pub(crate) selector: Option<String>,
}

impl Scale {
    fn built_in() -> Self {
        Self {
            spec: "/spec/replicas".to_owned(),
            status: "/status/replicas".to_owned(),
            selector: Some("/spec/selector".to_owned()),
        }
    }

    /// As a definition says it, in simple JSON paths.
    fn defined(scale: &Value) -> Option<Self> {
        let pointer = |field: &str| Some(scale[field].as_str()?.replace('.', "/"));
        Some(Self {
            spec: pointer("specReplicasPath")?,
            status: pointer("statusReplicasPath")?,
            selector: pointer("labelSelectorPath"),
        })
    }
}

impl Resource {
    /// As messages name it: `deployments.apps`, `configmaps`.
    pub(crate) fn qualified(&self) -> &str {
        &self.id
    }

    pub(crate) fn version(&self, name: &str) -> Option<&Version> {
        self.versions.iter().find(|version| version.name == name)
    }

    /// Whether `metadata.generation` counts changes of the objects.
    pub(crate) fn counts_generations(&self) -> bool {
        if self.custom {
            return true;
        }
        let status = self.versions.iter().any(|version| version.status);
        let kind = &*self.kind;
        (status && !UNCOUNTED.contains(&kind)) || COUNTED.contains(&kind)
    }
}

/// `apps/v1`, `v1`.
pub(crate) fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() {
        return version.to_owned();
    }
    format!("{group}/{version}")
}

/// `deployments.apps`, `configmaps`.
pub(crate) fn resource_id(group: &str, plural: &str) -> String {
    if group.is_empty() {
        return plural.to_owned();
    }
    format!("{plural}.{group}")
}

static BUILTIN: LazyLock<Vec<Arc<Resource>>> = LazyLock::new(|| {
    let rows = table().resources.iter();
    rows.map(|row| Arc::new(built_in(row))).collect()
});

/// Every built-in kind, by group as the real server lists them.
pub(crate) fn built_in_kinds() -> &'static [Arc<Resource>] {
    &BUILTIN
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_default().to_owned()
}

fn texts(value: &Value) -> Vec<String> {
    let all = value.as_array().into_iter().flatten();
    all.filter_map(Value::as_str).map(str::to_owned).collect()
}

fn built_in(row: &Value) -> Resource {
    let (group, plural) = (text(row, "group"), text(row, "plural"));
    let kind = text(row, "kind");
    Resource {
        id: resource_id(&group, &plural).into(),
        list_kind: format!("{kind}List"),
        singular: text(row, "singular"),
        namespaced: row["namespaced"] == true,
        short: texts(&row["short"]),
        categories: texts(&row["categories"]),
        versions: vec![Version {
            name: text(row, "version"),
            ty: Type::Named(text(row, "type").into()),
            status: row["status"] == true,
            scale: (row["scale"] == true).then(Scale::built_in),
            columns: Vec::new(),
            rules: OnceLock::new(),
        }],
        custom: false,
        only: None,
        stored: None,
        group,
        kind,
        plural,
    }
}

/// The kind that a definition adds.
pub(crate) fn defined(definition: &Value) -> Resource {
    let spec = &definition["spec"];
    let names = &spec["names"];
    let (group, plural) = (text(spec, "group"), text(names, "plural"));
    let versions = || spec["versions"].as_array().into_iter().flatten();
    let mut kept = versions().filter(|version| version["storage"] == true);
    let kept = kept.next();
    let stored = kept.map(|version| text(version, "name"));
    let several = versions().count() > 1;
    let stored_type = kept
        .filter(|_| several)
        .map(|version| custom_type(&version["schema"]["openAPIV3Schema"]));
    let versions = versions()
        .filter(|version| version["served"] == true)
        .map(|version| Version {
            name: text(version, "name"),
            ty: custom_type(&version["schema"]["openAPIV3Schema"]),
            status: version["subresources"]["status"].is_object(),
            scale: Scale::defined(&version["subresources"]["scale"]),
            columns: printer_columns(&version["additionalPrinterColumns"]),
            rules: OnceLock::new(),
        });
    let kind = text(names, "kind");
    let or = |found: String, default: String| if found.is_empty() { default } else { found };
    Resource {
        id: resource_id(&group, &plural).into(),
        list_kind: or(text(names, "listKind"), format!("{kind}List")),
        singular: or(text(names, "singular"), kind.to_lowercase()),
        namespaced: spec["scope"] == "Namespaced",
        short: texts(&names["shortNames"]),
        categories: texts(&names["categories"]),
        versions: versions.collect(),
        custom: true,
        stored: stored_type,
        only: stored.filter(|_| spec["conversion"]["strategy"] == "Webhook"),
        group,
        kind,
        plural,
    }
}
