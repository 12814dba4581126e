//! The `ApplicationSet` document: what a user writes and `tidegate apply` sends.
//!
//! Owns the shape, its defaults and the checks that need no fleet. Unknown fields are errors that
//! name the field. Never expands: `tidegate-generators` does.

mod validate;

pub(crate) use self::validate::strategy;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{selector::Selector, source::Source, strategy::Strategy};

/// A whole document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApplicationSet {
    /// `tidegate.dev/v1alpha1`.
    pub api_version: String,
    /// `ApplicationSet`.
    pub kind: String,
    /// Name and labels.
    pub metadata: Metadata,
    /// What to make and how to roll it out.
    pub spec: Spec,
}

/// Name and labels of a document.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Metadata {
    /// A DNS label, unique among the sets of its project.
    pub name: String,
    /// Free labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Free annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// The body of an `ApplicationSet`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Spec {
    /// Every template is a Go template; `false` (Argo CD's older syntax) is refused until it can
    /// be honoured.
    #[serde(default = "yes")]
    pub go_template: bool,
    /// Rows come from here. At least one.
    pub generators: Vec<Generator>,
    /// One application per row.
    pub template: Template,
    /// How applications of rows that vanished are treated.
    #[serde(default)]
    pub sync_policy: SetSyncPolicy,
    /// How a release reaches its members.
    #[serde(default)]
    pub strategy: Strategy,
    /// More applications than this are an error, not a rollout.
    #[serde(default = "max_applications")]
    pub max_applications: u32,
}

fn yes() -> bool {
    true
}

fn max_applications() -> u32 {
    1_000
}

/// Settings of the set itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetSyncPolicy {
    /// When an application goes away, leave its objects in the cluster.
    #[serde(default)]
    pub preserve_resources_on_deletion: bool,
}

/// One source of rows: exactly one of the fields besides `selector` must be there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Generator {
    /// Rows written out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list: Option<ListGenerator>,
    /// A row per registered cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clusters: Option<ClusterGenerator>,
    /// Rows from directories or files of a repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git: Option<GitGenerator>,
    /// Keeps only rows whose flattened parameters it selects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<Selector>,
}

/// Rows written out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListGenerator {
    /// Each a map: the row's parameters.
    pub elements: Vec<serde_json::Map<String, Value>>,
}

/// A row per registered cluster, ordered by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClusterGenerator {
    /// Which clusters; all when empty.
    #[serde(default)]
    pub selector: Selector,
    /// Extra parameters under `.values`, each a template over the row.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, String>,
}

/// Rows from a repository: `directories` or `files`, not both.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GitGenerator {
    /// The repository's address.
    #[serde(rename = "repoURL")]
    pub repo_url: String,
    /// Branch, tag or commit.
    #[serde(default = "head")]
    pub revision: String,
    /// A row per matching directory.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub directories: Vec<PathPattern>,
    /// A row per object in each matching YAML or JSON file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<PathPattern>,
    /// Extra parameters under `.values`, each a template over the row.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, String>,
    /// Puts `path` under this key instead of the top.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub path_param_prefix: String,
}

fn head() -> String {
    "HEAD".to_owned()
}

/// A glob over repository paths.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PathPattern {
    /// `*` stays within one path element, `**` crosses them.
    pub path: String,
    /// Takes matches out again; wins over every include.
    #[serde(default)]
    pub exclude: bool,
}

/// The template of an application.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Template {
    /// Name, labels and annotations; every key and value is a template.
    pub metadata: Metadata,
    /// What goes where; every string is a template.
    pub spec: TemplateSpec,
}

/// The body of a template. `project` is literal: it is never taken from a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TemplateSpec {
    /// The project of the set and all its applications.
    #[serde(default = "default_project")]
    pub project: String,
    /// Where manifests come from.
    pub source: Source,
    /// Which cluster they go to.
    pub destination: Destination,
    /// Prune and drift.
    #[serde(default)]
    pub sync_policy: TemplateSyncPolicy,
}

pub(crate) fn default_project() -> String {
    "default".to_owned()
}

/// The target: exactly one of `name` and `server`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Destination {
    /// The cluster's name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// One of the cluster's server aliases.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub server: String,
    /// Namespace for namespaced objects that name none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub namespace: String,
}

/// Prune and drift of a template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TemplateSyncPolicy {
    /// Delete objects that leave Git.
    #[serde(default = "yes")]
    pub prune: bool,
    /// `heal`, `warn` or `off`; a template, so that clusters can differ.
    #[serde(default = "heal")]
    pub drift: String,
}

fn heal() -> String {
    "heal".to_owned()
}

impl Default for TemplateSyncPolicy {
    fn default() -> Self {
        Self {
            prune: true,
            drift: heal(),
        }
    }
}
