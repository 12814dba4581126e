//! Whole lists out of the API's pages.
//!
//! Owns which call lists which kind. Never shows anything.

use tidegate_proto::v1::{self as wire, fleet_client::FleetClient};
use tonic::{Status, transport::Channel};

use crate::{connect::Hub, error::Error, output::rows::Row};

/// A kind of thing that the hub lists in pages.
pub(super) trait Listed: Row {
    /// One page and the token of the next, empty after the last.
    async fn page(
        fleet: &mut FleetClient<Channel>,
        request: wire::ListRequest,
    ) -> Result<(Vec<Self>, String), Status>
    where
        Self: Sized;
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
    Application by list_applications,
    Cluster by list_clusters,
    Release by list_releases,
    Run by list_runs,
    Source by list_sources,
    Hold by list_holds,
    Pin by list_pins,
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
        items.extend(page);
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

/// The audit log of a project, oldest first.
pub(super) async fn audit(hub: &Hub, project: &str) -> Result<Vec<wire::AuditRecord>, Error> {
    let mut items: Vec<wire::AuditRecord> = Vec::new();
    loop {
        let after = items.last().map_or(0, |record| record.sequence);
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
