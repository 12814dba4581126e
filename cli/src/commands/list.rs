//! Whole lists out of the API's pages.
//!
//! Owns which call lists which kind, and what a name means for each. Never shows anything.

use tidegate_proto::v1::{self as wire, fleet_client::FleetClient};
use tonic::{Status, transport::Channel};

use crate::{
    args::{Get, What, bare},
    connect::Hub,
    error::Error,
    output::rows::Row,
};

/// A kind of thing that the hub lists in pages.
pub(super) trait Listed: Row {
    /// One page and the token of the next, empty after the last.
    async fn page(
        fleet: &mut FleetClient<Channel>,
        request: wire::ListRequest,
    ) -> Result<(Vec<Self>, String), Status>
    where
        Self: Sized;

    /// Whether this is one that `request` means, where the hub has no filter for it.
    fn is_meant(&self, _request: &wire::ListRequest) -> bool {
        true
    }
}

macro_rules! listed {
    ($($kind:ident by $call:ident),* $(,)?) => {$(
        impl Listed for wire::$kind {
            async fn page(
                fleet: &mut FleetClient<Channel>,
                request: wire::ListRequest,
            ) -> Result<(Vec<Self>, String), Status> {
                let page = fleet.$call(request).await?.into_inner();
                Ok((page.items, page.next_page_token))
            }
        }
    )*};
}

listed! {
    ApplicationSet by list_application_sets,
    WavePlan by list_wave_plans,
    Application by list_applications,
    Cluster by list_clusters,
    Release by list_releases,
    Run by list_runs,
    Hold by list_holds,
    Pin by list_pins,
}

impl Listed for wire::Source {
    async fn page(
        fleet: &mut FleetClient<Channel>,
        request: wire::ListRequest,
    ) -> Result<(Vec<Self>, String), Status> {
        let page = fleet.list_sources(request).await?.into_inner();
        Ok((page.items, page.next_page_token))
    }

    /// A repository has several sources, one a revision.
    fn is_meant(&self, request: &wire::ListRequest) -> bool {
        let name = &request.name;
        name.is_empty()
            || self.repo_url == *name
            || format!("{}@{}", self.repo_url, self.revision) == *name
    }
}

/// Everything that `request` selects, at most `request.limit` if that is not 0.
pub(super) async fn list<T: Listed>(
    hub: &Hub,
    mut request: wire::ListRequest,
) -> Result<Vec<T>, Error> {
    let limit = request.limit as usize;
    let mut items: Vec<T> = Vec::new();
    loop {
        let asked = request.clone();
        let (page, next) = hub
            .call(async |fleet| T::page(fleet, asked).await.map(tonic::Response::new))
            .await?;
        // A page without progress would be asked for again and again.
        let stuck = page.is_empty() || next == request.page_token;
        items.extend(page.into_iter().filter(|item| item.is_meant(&request)));
        if limit > 0 && items.len() >= limit {
            items.truncate(limit);
            return Ok(items);
        }
        if next.is_empty() || stuck {
            return Ok(items);
        }
        request.page_token = next;
    }
}

/// A kind of thing that `get` shows.
pub(super) trait Shown: Row + Clone + PartialEq {
    /// What the options select, in the order in which it is shown.
    async fn select(hub: &Hub, options: &Get) -> Result<Vec<Self>, Error>
    where
        Self: Sized;

    /// The same again, knowing what was there `before`.
    async fn again(hub: &Hub, options: &Get, _before: &[Self]) -> Result<Vec<Self>, Error>
    where
        Self: Sized,
    {
        Self::select(hub, options).await
    }

    /// At most so many of them, where more were asked for than are shown.
    fn cut(items: &[Self], limit: Option<u32>) -> &[Self]
    where
        Self: Sized,
    {
        &items[..items.len().min(count(limit))]
    }
}

fn count(limit: Option<u32>) -> usize {
    limit.map_or(usize::MAX, |limit| limit as usize)
}

impl<T: Listed + Clone + PartialEq> Shown for T {
    async fn select(hub: &Hub, options: &Get) -> Result<Vec<Self>, Error> {
        list(hub, request(options)).await
    }
}

impl Shown for wire::AuditRecord {
    async fn select(hub: &Hub, options: &Get) -> Result<Vec<Self>, Error> {
        let mut items = audit(hub, &options.project.name(), 0).await?;
        if let Some(name) = named(options) {
            items.retain(|record| record.sequence.to_string() == name);
        }
        Ok(Self::cut(&items, options.limit).to_vec())
    }

    /// Records never change: only what came since is asked for.
    async fn again(hub: &Hub, options: &Get, before: &[Self]) -> Result<Vec<Self>, Error> {
        let mut items = before.to_vec();
        if named(options).is_none() {
            let after = before.last().map_or(0, |record| record.sequence);
            items.extend(audit(hub, &options.project.name(), after).await?);
        }
        Ok(items)
    }

    /// The newest are the ones that matter; they come last.
    fn cut(items: &[Self], limit: Option<u32>) -> &[Self] {
        &items[items.len().saturating_sub(count(limit))..]
    }
}

/// The name without the kind that `-o name` puts before it.
pub(super) fn named(options: &Get) -> Option<&str> {
    let name = options.name.as_deref()?;
    Some(bare(name, options.what.singular()))
}

/// As the API takes it.
pub(super) fn request(options: &Get) -> wire::ListRequest {
    let mut set = options.set.clone().unwrap_or_default();
    let mut name = named(options).unwrap_or_default().to_owned();
    if let (What::Releases, Some((of, number))) = (options.what, name.clone().split_once('/')) {
        (set, name) = (of.to_owned(), number.to_owned());
    }
    if options.what == What::Sets && name.is_empty() {
        name.clone_from(&set);
    }
    wire::ListRequest {
        project: options.project.name(),
        set,
        name,
        cluster: options.cluster.clone().unwrap_or_default(),
        limit: options.limit.unwrap_or_default(),
        page_token: String::new(),
    }
}

/// The audit log of a project after this record, oldest first.
pub(super) async fn audit(
    hub: &Hub,
    project: &str,
    after: u64,
) -> Result<Vec<wire::AuditRecord>, Error> {
    let mut items: Vec<wire::AuditRecord> = Vec::new();
    loop {
        let after = items.last().map_or(after, |record| record.sequence);
        let request = wire::ListAuditRequest {
            project: project.to_owned(),
            after,
            limit: 0,
        };
        let page = hub
            .call(async |fleet| fleet.list_audit(request).await)
            .await?
            .items;
        let more = page.iter().any(|record| record.sequence > after);
        items.extend(page.into_iter().filter(|record| record.sequence > after));
        if !more {
            return Ok(items);
        }
    }
}
