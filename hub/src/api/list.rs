//! Reading: filtered, ordered, paged.
//!
//! Pure over the view. A page token is the name of the last item, so that a page stays meaningful
//! when items come and go between two calls.

use tidegate_model::health::Health;
use tidegate_proto::v1 as wire;
use tonic::Status;

use super::{convert, plans};
use crate::{
    evidence::Evidence,
    records::{ClusterRecord, SetRecord},
    state::State,
};

/// Items of a page when the caller names no number.
const DEFAULT_PAGE: usize = 500;
/// The most items of a page.
const LARGEST_PAGE: usize = 5_000;

pub(super) fn wanted(filter: &str, value: &str) -> bool {
    filter.is_empty() || filter == value
}

/// The page of `items` (in order, each with its name) that `request` asks for, and the next token.
fn page<T>(
    request: &wire::ListRequest,
    items: impl Iterator<Item = (String, T)>,
) -> (Vec<T>, String) {
    let limit = match request.limit {
        0 => DEFAULT_PAGE,
        limit => (limit as usize).min(LARGEST_PAGE),
    };
    let mut rest = items.filter(|(name, _)| *name > request.page_token);
    let mut taken: Vec<(String, T)> = rest.by_ref().take(limit).collect();
    let next = match rest.next() {
        Some(_) => taken
            .last()
            .map(|(name, _)| name.clone())
            .unwrap_or_default(),
        None => String::new(),
    };
    (taken.drain(..).map(|(_, item)| item).collect(), next)
}

/// The sets that a request means.
fn sets<'a>(
    state: &'a State,
    request: &'a wire::ListRequest,
) -> impl Iterator<Item = &'a SetRecord> {
    state
        .sets
        .iter()
        .map(AsRef::as_ref)
        .filter(|set| wanted(&request.project, &set.project) && wanted(&request.set, &set.name))
}

pub(super) fn application_sets(
    state: &State,
    request: &wire::ListRequest,
) -> wire::ListApplicationSetsResponse {
    let items = sets(state, request)
        .filter(|set| wanted(&request.name, &set.name))
        .map(|set| {
            (
                format!("{}/{}", set.project, set.name),
                convert::set(state, set),
            )
        });
    let (items, next_page_token) = page(request, items);
    wire::ListApplicationSetsResponse {
        items,
        next_page_token,
    }
}

pub(super) fn wave_plans(
    state: &State,
    request: &wire::ListRequest,
) -> wire::ListWavePlansResponse {
    let plans = state.wave_plans.iter().filter(|plan| {
        wanted(&request.project, &plan.project) && wanted(&request.name, &plan.name)
    });
    let items = plans.map(|plan| {
        let name = format!("{}/{}", plan.project, plan.name);
        (name, plans::shown(state, plan))
    });
    let (items, next_page_token) = page(request, items);
    wire::ListWavePlansResponse {
        items,
        next_page_token,
    }
}

pub(super) fn applications(
    state: &State,
    evidence: &Evidence,
    request: &wire::ListRequest,
) -> wire::ListApplicationsResponse {
    let mut apps: Vec<_> = state
        .apps
        .iter()
        .filter(|app| {
            wanted(&request.project, &app.app.project)
                && wanted(&request.set, &app.app.set)
                && wanted(&request.name, &app.app.name)
                && wanted(&request.cluster, &app.app.cluster_name)
        })
        .map(|app| {
            (
                format!("{}/{}/{}", app.app.project, app.app.name, app.uid),
                app,
            )
        })
        .collect();
    apps.sort_by(|a, b| a.0.cmp(&b.0));
    let (apps, next_page_token) = page(request, apps.into_iter());
    let items = apps
        .into_iter()
        .map(|app| convert::application(state, evidence, app))
        .collect();
    wire::ListApplicationsResponse {
        items,
        next_page_token,
    }
}

pub(super) fn cluster(state: &State, evidence: &Evidence, record: &ClusterRecord) -> wire::Cluster {
    let uid = record.cluster.uid;
    let apps: Vec<_> = state.apps_in(uid).collect();
    let live = evidence.session(uid);
    let health = if record.joined && live.connected {
        Health::worst_of(apps.iter().map(|app| evidence.of(state, app).health))
    } else {
        Health::Unknown
    };
    wire::Cluster {
        uid: uid.to_string(),
        name: record.cluster.name.clone(),
        labels: record.cluster.labels.clone(),
        servers: record.cluster.servers.clone(),
        joined: record.joined,
        connected: live.connected,
        last_seen_ms: convert::millis(live.last_seen),
        agent_version: record.agent_version.clone(),
        applications: convert::count(apps.len()),
        health: convert::health(health).into(),
        rotating: record.renew_before.is_some(),
        refused_before_ms: convert::millis(record.refused_before),
    }
}

pub(super) fn clusters(
    state: &State,
    evidence: &Evidence,
    request: &wire::ListRequest,
) -> wire::ListClustersResponse {
    let mut records: Vec<_> = state
        .clusters
        .iter()
        .filter(|record| {
            let name = &record.cluster.name;
            wanted(&request.name, name) && wanted(&request.cluster, name)
        })
        .map(|record| (record.cluster.name.clone(), record))
        .collect();
    records.sort_by(|a, b| a.0.cmp(&b.0));
    let (records, next_page_token) = page(request, records.into_iter());
    let items = records
        .into_iter()
        .map(|record| cluster(state, evidence, record))
        .collect();
    wire::ListClustersResponse {
        items,
        next_page_token,
    }
}

/// Newest first: names are complemented numbers so that paging goes on in that order.
pub(super) fn releases(state: &State, request: &wire::ListRequest) -> wire::ListReleasesResponse {
    let mut items: Vec<_> = sets(state, request)
        .flat_map(|set| state.releases_of(set).map(move |row| (set, &row.record)))
        .filter(|(_, release)| wanted(&request.name, &release.number.to_string()))
        .map(|(set, release)| {
            let order = format!(
                "{}/{}/{:020}",
                set.project,
                set.name,
                u64::MAX - release.number
            );
            (order, (set, release))
        })
        .collect();
    items.sort_by(|a, b| a.0.cmp(&b.0));
    let (items, next_page_token) = page(request, items.into_iter());
    let items = items
        .into_iter()
        .map(|(set, release)| wire::Release {
            id: release.id.to_string(),
            project: set.project.clone(),
            set: set.name.clone(),
            number: release.number,
            content: release.content.to_string(),
            sources: convert::sources(release),
            cause: release.cause.clone(),
            created_at_ms: convert::millis(Some(release.created_at)),
            entries: Vec::new(),
        })
        .collect();
    wire::ListReleasesResponse {
        items,
        next_page_token,
    }
}

/// Newest first.
pub(super) fn runs(state: &State, request: &wire::ListRequest) -> wire::ListRunsResponse {
    let mut items: Vec<_> = sets(state, request)
        .flat_map(|set| state.runs_of(set))
        .filter(|row| wanted(&request.name, &row.record.run.id.to_string()))
        .map(|row| {
            let order = format!("{:039}", u128::MAX - row.record.run.id.0.as_u128());
            (order, row)
        })
        .collect();
    items.sort_by(|a, b| a.0.cmp(&b.0));
    let (rows, next_page_token) = page(request, items.into_iter());
    let items = rows
        .into_iter()
        .map(|row| convert::run(state, &row.record))
        .collect();
    wire::ListRunsResponse {
        items,
        next_page_token,
    }
}

pub(super) fn sources(state: &State, request: &wire::ListRequest) -> wire::ListSourcesResponse {
    let mut items: Vec<_> = state
        .sources
        .iter()
        .map(|record| {
            let source = &record.source;
            (
                format!("{}@{}", source.repo_url, source.revision),
                convert::source(record),
            )
        })
        .collect();
    items.sort_by(|a, b| a.0.cmp(&b.0));
    let (items, next_page_token) = page(request, items.into_iter());
    wire::ListSourcesResponse {
        items,
        next_page_token,
    }
}

pub(super) fn holds(state: &State, request: &wire::ListRequest) -> wire::ListHoldsResponse {
    let mut items: Vec<_> = sets(state, request)
        .flat_map(|set| state.holds_of(set))
        .filter(|row| row.record.approved_by.is_none() && wanted(&request.name, &row.record.id))
        .map(|row| {
            let hold = &row.record;
            (
                format!("{}/{}/{}", hold.project, hold.set, hold.id),
                convert::hold(state, hold),
            )
        })
        .collect();
    items.sort_by(|a, b| a.0.cmp(&b.0));
    let (items, next_page_token) = page(request, items.into_iter());
    wire::ListHoldsResponse {
        items,
        next_page_token,
    }
}

pub(super) fn pins(state: &State, request: &wire::ListRequest) -> wire::ListPinsResponse {
    let items = sets(state, request)
        .flat_map(|set| state.pins_of(set))
        .map(|row| {
            let record = &row.record;
            let order = format!("{}/{}/{}", record.project, record.set, record.pin.app);
            (order, convert::pin(state, record))
        });
    let mut items: Vec<_> = items
        .filter(|(_, pin)| {
            wanted(&request.name, &pin.app) && wanted(&request.cluster, &pin.cluster)
        })
        .collect();
    items.sort_by(|a, b| a.0.cmp(&b.0));
    let (items, next_page_token) = page(request, items.into_iter());
    wire::ListPinsResponse {
        items,
        next_page_token,
    }
}

/// A set that a request names, or why there is none.
pub(super) fn find_set<'a>(
    state: &'a State,
    project: &str,
    name: &str,
) -> Result<&'a crate::state::Row<SetRecord>, Status> {
    let project = super::project_or_default(project);
    if name.is_empty() {
        return Err(Status::invalid_argument("the request names no set"));
    }
    state.set(project, name).ok_or_else(|| {
        Status::not_found(format!(
            "no set {name} in project {project}; `tidegate get sets` lists them"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other_and_end() {
        let names = ["a", "b", "c"].map(|name| (name.to_owned(), name));
        let request = |token: &str| wire::ListRequest {
            limit: 2,
            page_token: token.to_owned(),
            ..wire::ListRequest::default()
        };
        let (items, next) = page(&request(""), names.clone().into_iter());
        assert_eq!((items, next.as_str()), (vec!["a", "b"], "b"));
        let (items, next) = page(&request("b"), names.into_iter());
        assert_eq!((items, next.as_str()), (vec!["c"], ""));
    }
}
