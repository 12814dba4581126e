//! The nouns of Tidegate and the one reader of manifests.
//!
//! Owns: what a cluster, an `ApplicationSet`, an application, a bundle, a release, a run, an
//! assignment and a report *are*, how each is named (ids, digests), and how YAML becomes a JSON
//! value. Never does: I/O, clocks, randomness, Kubernetes clients, the wire. Time and ids come in
//! as values.

pub mod application;
pub mod application_set;
pub mod assignment;
pub mod audit;
pub mod bundle;
pub mod canonical;
pub mod cluster;
pub mod deny;
pub mod digest;
pub mod dns;
pub mod document;
pub mod duration;
pub mod glob;
pub mod health;
pub mod ids;
pub mod manifest;
pub mod object;
pub mod policy;
pub mod release;
pub mod report;
pub mod run;
pub mod selector;
pub mod source;
pub mod strategy;
pub mod tree;
pub mod wave_plan;
pub mod written;

/// The API group and version of every document a user writes for Tidegate.
pub const API_VERSION: &str = "tidegate.dev/v1alpha1";

/// Names that clusters and users see; changing one strands what is already deployed
/// (design: "Decided early").
pub mod names {
    /// The one field manager of every server-side apply.
    pub const FIELD_MANAGER: &str = "tidegate-agent";
    /// Label on every applied object: the application's uid.
    pub const LABEL_APP_ID: &str = "tidegate.dev/app-id";
    /// Annotation on every applied object: `project/name` of its application.
    pub const ANNOTATION_APP: &str = "tidegate.dev/app";
    /// Where the agent keeps its own objects.
    pub const NAMESPACE: &str = "tidegate-system";
    /// Prefix of labels that an agent reports about its own cluster; users may not write it, and
    /// an agent may write no other.
    pub const FACT_PREFIX: &str = "fact.tidegate.dev/";
}
