//! Whether a kind is really gone, and its objects with it.
//!
//! Discovery alone is no proof: for moments after a change of definitions a served kind is not in
//! it. A kind is gone when fresh discovery lacks it *and* nothing stands that would serve it.

use tidegate_model::object::ObjectId;

use super::{Cluster, Error, meta};

impl Cluster {
    /// True if no definition and no aggregated API can serve this kind. Built-in kinds of a version
    /// that the server dropped are gone too.
    pub async fn kind_is_gone(&self, group: &str, kind: &str) -> Result<bool, Error> {
        let discovery = self.discover(std::time::Duration::ZERO).await;
        if !discovery.is_fresh(group) || discovery.any_version(group, "", kind).is_some() {
            return Ok(false);
        }
        if group.is_empty() {
            return Ok(true);
        }
        if !discovery.has_group(group)
            && !self
                .named_after("apiregistration.k8s.io", "v1", "APIService", group)
                .await?
                .is_empty()
        {
            return Ok(false);
        }
        let (api, resource) = ("apiextensions.k8s.io", "CustomResourceDefinition");
        for id in self.named_after(api, "v1", resource, group).await? {
            let Some(definitions) = discovery.kind(api, "v1", resource) else {
                return Ok(false);
            };
            let live = self.get(definitions, &id).await?.unwrap_or_default();
            if live
                .pointer("/spec/names/kind")
                .and_then(|kind| kind.as_str())
                == Some(kind)
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Objects of a cluster-scoped kind whose name ends with `.<group>`.
    async fn named_after(
        &self,
        api: &str,
        version: &str,
        resource: &str,
        group: &str,
    ) -> Result<Vec<ObjectId>, Error> {
        let discovery = self.discovery();
        let Some(kind) = discovery.kind(api, version, resource) else {
            return Ok(Vec::new());
        };
        let ending = format!(".{group}");
        let all = self.list(kind, "", "", true).await?;
        let names = all.iter().map(|object| meta(object, "name"));
        let ids = names
            .filter(|name| name.ends_with(&ending))
            .map(|name| ObjectId {
                group: api.to_owned(),
                kind: resource.to_owned(),
                namespace: String::new(),
                name: name.to_owned(),
            });
        Ok(ids.collect())
    }
}
