//! `tree`: the objects of an application with their live state.

use tidegate_proto::v1 as wire;

use crate::{
    args::{Format, Tree, bare},
    connect::Hub,
    error::Error,
    output::{
        Output,
        rows::{Row as _, health},
        text::{or_dash, plain},
    },
};

pub(super) async fn tree(hub: &Hub, options: &Tree, output: &mut Output) -> Result<(), Error> {
    let limit = options.limit.unwrap_or(usize::MAX);
    let mut answer = page(hub, options, String::new()).await?;
    while answer.items.len() < limit && !answer.next_page_token.is_empty() {
        let next = page(hub, options, answer.next_page_token.clone()).await?;
        if next.not_live.is_empty() != answer.not_live.is_empty() {
            let why = if next.not_live.is_empty() {
                "its agent came back meanwhile"
            } else {
                next.not_live.as_str()
            };
            return Err(Error::Incomplete(format!(
                "failed to list all {} objects: {why}; ask again",
                answer.total
            )));
        }
        answer.items.extend(next.items);
        answer.next_page_token = next.next_page_token;
    }
    answer.items.truncate(limit);
    if output.format() == Format::Table {
        let app = answer.application.clone().unwrap_or_default();
        output.line(&heading(&app))?;
    }
    output.list(&answer.items, "it has no objects")?;
    let shown = answer.items.len();
    if shown < usize::try_from(answer.total).unwrap_or(usize::MAX) {
        output.note(&format!("{shown} of {} objects", answer.total));
    }
    if !answer.not_live.is_empty() {
        output.note(&format!(
            "not live, this is what the agent was told: {}",
            plain(&answer.not_live)
        ));
    }
    Ok(())
}

async fn page(
    hub: &Hub,
    options: &Tree,
    page_token: String,
) -> Result<wire::ListObjectsResponse, Error> {
    let request = wire::ListObjectsRequest {
        project: options.project.name(),
        name: bare(&options.name, "application").to_owned(),
        page_token,
    };
    hub.call(async |fleet| fleet.list_objects(request).await)
        .await
}

fn heading(app: &wire::Application) -> String {
    let synced = if app.synced { "as told" } else { "not as told" };
    format!(
        "{} in {}: {}, {synced}",
        plain(&app.name()),
        or_dash(&app.cluster),
        health(app.health)
    )
}
