//! What kinds the cluster serves, from aggregated discovery, with the freshness of each group.
//!
//! Pure: lists come in as values. A kind that is missing while its group is
//! stale is not absent: nobody can say (facts "agent-reconcile" E47, E56). Never fetches.

use std::collections::BTreeMap;

use kube::{
    api::ApiResource,
    core::discovery::v2::{APIGroupDiscoveryList, APIVersionDiscovery},
};

use crate::{manifest::Scope, plan::Known};

/// A served kind and how to reach it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kind {
    /// Names and URL parts.
    pub resource: ApiResource,
    /// Where its objects live.
    pub scope: Scope,
    /// Whether its objects can be listed and watched.
    pub watchable: bool,
}

#[derive(Clone, Debug, Default)]
struct Version {
    name: String,
    stale: bool,
    kinds: BTreeMap<String, Kind>,
}

/// The kinds of a cluster.
#[derive(Clone, Debug, Default)]
pub struct Discovery {
    /// Versions of each group, preferred first.
    groups: BTreeMap<String, Vec<Version>>,
    /// Whether the whole list could not be read lately.
    stale: bool,
}

impl Discovery {
    /// Takes new lists (core group, other groups); what a stale group said before is kept.
    pub fn update(&mut self, lists: [APIGroupDiscoveryList; 2]) {
        let mut groups = BTreeMap::new();
        for group in lists.into_iter().flat_map(|list| list.items) {
            let name = group
                .metadata
                .and_then(|meta| meta.name)
                .unwrap_or_default();
            let before = self.groups.get(&name);
            let versions = group.versions.into_iter().map(|version| {
                let stale = version.freshness.as_deref() == Some("Stale");
                let mut read = read_version(&name, version);
                let known = before
                    .into_iter()
                    .flatten()
                    .find(|old| old.name == read.name);
                if let Some(known) = known.filter(|_| stale) {
                    let kinds = known
                        .kinds
                        .iter()
                        .map(|(kind, it)| (kind.clone(), it.clone()));
                    read.kinds.extend(kinds);
                }
                read
            });
            let versions = versions.collect();
            groups.insert(name, versions);
        }
        self.groups = groups;
        self.stale = false;
    }

    /// Notes that the lists could not be read: what is known stays known, nothing is absent.
    pub fn fail(&mut self) {
        self.stale = true;
    }

    /// The kind as it is served in this version.
    pub fn kind(&self, group: &str, version: &str, kind: &str) -> Option<&Kind> {
        self.versions(group)
            .find(|v| v.name == version)?
            .kinds
            .get(kind)
    }

    /// The kind in this version if it is served, else in the version the server prefers: for
    /// objects that are there already and were applied in a version since removed.
    pub fn any_version(&self, group: &str, version: &str, kind: &str) -> Option<&Kind> {
        self.kind(group, version, kind)
            .or_else(|| self.versions(group).find_map(|v| v.kinds.get(kind)))
    }

    /// What a plan may believe about a kind.
    pub fn known(&self, group: &str, version: &str, kind: &str) -> Known {
        match self.kind(group, version, kind) {
            Some(kind) => Known::Served(kind.scope),
            None if self.is_fresh(group) => Known::Absent,
            None => Known::Undiscovered,
        }
    }

    /// Whether what is said about a group, its absence included, is up to date.
    pub fn is_fresh(&self, group: &str) -> bool {
        self.is_complete() && self.versions(group).all(|version| !version.stale)
    }

    /// Whether the lists themselves are there and up to date, whatever single groups say.
    pub fn is_complete(&self) -> bool {
        !self.stale && !self.groups.is_empty()
    }

    /// Whether any version of a group is known.
    pub fn has_group(&self, group: &str) -> bool {
        self.groups.contains_key(group)
    }

    /// The kind whose URLs carry this plural, in the preferred version.
    pub fn by_plural(&self, group: &str, plural: &str) -> Option<&Kind> {
        self.versions(group)
            .flat_map(|version| version.kinds.values())
            .find(|kind| kind.resource.plural == plural)
    }

    /// Every kind that can be listed and watched, in the preferred version of its group.
    pub fn watchable(&self) -> impl Iterator<Item = &Kind> {
        self.groups.values().flat_map(|versions| {
            versions
                .iter()
                .enumerate()
                .flat_map(move |(index, version)| {
                    version.kinds.iter().filter_map(move |(name, kind)| {
                        let preferred =
                            !versions[..index].iter().any(|v| v.kinds.contains_key(name));
                        (preferred && kind.watchable).then_some(kind)
                    })
                })
        })
    }

    fn versions(&self, group: &str) -> impl Iterator<Item = &Version> {
        self.groups.get(group).into_iter().flatten()
    }
}

fn read_version(group: &str, version: APIVersionDiscovery) -> Version {
    let name = version.version.unwrap_or_default();
    let api_version = if group.is_empty() {
        name.clone()
    } else {
        format!("{group}/{name}")
    };
    let kinds = version.resources.into_iter().filter_map(|resource| {
        let kind = resource.response_kind?.kind?;
        let has = |verb: &str| resource.verbs.iter().any(|has| has == verb);
        let read = Kind {
            resource: ApiResource {
                group: group.to_owned(),
                version: name.clone(),
                api_version: api_version.clone(),
                kind: kind.clone(),
                plural: resource.resource?,
            },
            scope: match resource.scope.as_deref() {
                Some("Cluster") => Scope::Cluster,
                _ => Scope::Namespaced,
            },
            watchable: has("list") && has("watch"),
        };
        // What cannot be read back cannot be reconciled (reviews, bindings).
        has("get").then_some((kind, read))
    });
    let kinds = kinds.collect();
    Version {
        stale: version.freshness.as_deref() == Some("Stale"),
        kinds,
        name,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn list(freshness: &str, kinds: &[&str]) -> APIGroupDiscoveryList {
        let resources: Vec<_> = kinds
            .iter()
            .map(|kind| {
                json!({"resource": kind.to_lowercase(), "scope": "Namespaced",
                "responseKind": {"group": "g", "version": "v1", "kind": kind},
                "verbs": ["get", "list", "watch"]})
            })
            .collect();
        serde_json::from_value(json!({"items": [{"metadata": {"name": "g"}, "versions": [
            {"version": "v1", "freshness": freshness, "resources": resources},
            {"version": "v1beta1", "freshness": freshness, "resources": resources}]}]}))
        .unwrap()
    }

    #[test]
    fn a_stale_group_keeps_its_kinds_and_says_nothing_about_the_rest() {
        let mut discovery = Discovery::default();
        assert_eq!(discovery.known("g", "v1", "A"), Known::Undiscovered);
        discovery.update([APIGroupDiscoveryList::default(), list("Current", &["A"])]);
        assert_eq!(
            discovery.known("g", "v1", "A"),
            Known::Served(Scope::Namespaced)
        );
        assert_eq!(discovery.known("g", "v1", "B"), Known::Absent);
        assert_eq!(discovery.known("other", "v1", "B"), Known::Absent);

        discovery.update([APIGroupDiscoveryList::default(), list("Stale", &[])]);
        assert_eq!(
            discovery.known("g", "v1", "A"),
            Known::Served(Scope::Namespaced)
        );
        assert_eq!(discovery.known("g", "v1", "B"), Known::Undiscovered);
        assert!(!discovery.is_fresh("g") && discovery.is_fresh("other"));

        discovery.update([
            APIGroupDiscoveryList::default(),
            APIGroupDiscoveryList::default(),
        ]);
        discovery.update([APIGroupDiscoveryList::default(), list("Current", &[])]);
        assert_eq!(discovery.known("g", "v1", "A"), Known::Absent);
        discovery.fail();
        assert_eq!(discovery.known("g", "v1", "A"), Known::Undiscovered);
    }

    #[test]
    fn an_object_is_reached_in_a_served_version_and_watched_in_one() {
        let mut discovery = Discovery::default();
        discovery.update([APIGroupDiscoveryList::default(), list("Current", &["A"])]);
        let version = |v: &str| {
            discovery
                .any_version("g", v, "A")
                .map(|k| k.resource.version.clone())
        };
        assert_eq!(version("v1beta1").as_deref(), Some("v1beta1"));
        assert_eq!(version("v1alpha1").as_deref(), Some("v1"));
        assert_eq!(discovery.watchable().count(), 1);
    }
}
