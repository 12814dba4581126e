//! Which of its things the canned hub lists, and in which pages.

use tidegate_proto::v1 as wire;
use tonic::Status;

/// A thing with the names by which a request selects it.
pub(crate) trait Item {
    fn name(&self) -> String;
    fn set(&self) -> Option<&str>;
    fn cluster(&self) -> Option<&str>;
}

macro_rules! items {
    ($($kind:ident: $name:ident, $set:expr, $cluster:expr;)*) => {$(
        impl Item for wire::$kind {
            fn name(&self) -> String {
                self.$name.to_string()
            }
            fn set(&self) -> Option<&str> {
                let set: fn(&Self) -> Option<&str> = $set;
                set(self)
            }
            fn cluster(&self) -> Option<&str> {
                let cluster: fn(&Self) -> Option<&str> = $cluster;
                cluster(self)
            }
        }
    )*};
}

items! {
    ApplicationSet: name, |it| Some(&it.name), |_| None;
    WavePlan: name, |_| None, |_| None;
    Application: name, |it| Some(&it.set), |it| Some(&it.cluster);
    Cluster: name, |_| None, |it| Some(&it.name);
    Release: number, |it| Some(&it.set), |_| None;
    Run: id, |it| Some(&it.set), |_| None;
    // The API has no filter for sources.
    Source: repo_url, |_| None, |_| None;
    Hold: id, |it| Some(&it.set), |_| None;
    Pin: app, |it| Some(&it.set), |it| Some(&it.cluster);
}

/// The items that a request selects, two a page unless it names a number.
pub(crate) fn page<T: Item>(
    request: &wire::ListRequest,
    items: Vec<T>,
) -> Result<(Vec<T>, String), Status> {
    let first: usize = match request.page_token.as_str() {
        "" => 0,
        token => token
            .parse()
            .map_err(|_| Status::invalid_argument("no such page"))?,
    };
    let wanted = |filter: &str, value: Option<&str>| {
        filter.is_empty() || value.is_none_or(|it| it == filter)
    };
    let selected: Vec<T> = items
        .into_iter()
        .filter(|item| {
            wanted(&request.name, Some(&item.name()))
                && wanted(&request.set, item.set())
                && wanted(&request.cluster, item.cluster())
        })
        .collect();
    let next = if selected.len() > first + 2 {
        (first + 2).to_string()
    } else {
        String::new()
    };
    Ok((selected.into_iter().skip(first).take(2).collect(), next))
}

macro_rules! lists {
    ($request:ident, $response:ident, $items:expr) => {{
        let (items, next_page_token) = crate::pages::page(&$request, $items)?;
        Ok(Response::new(wire::$response {
            items,
            next_page_token,
        }))
    }};
}
pub(crate) use lists;
