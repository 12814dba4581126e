//! `wait`: until something is so.
//!
//! Level based: it looks at what is, again and again, so nothing that happened before or between
//! two looks is missed, and a hub that restarts meanwhile only delays it.

mod verdict;

use std::time::Duration;

use tidegate_proto::v1 as wire;
use tonic::Code;

use super::list::list;
use crate::{
    args::{self, Condition, Format, Subject, Wait},
    connect::Hub,
    error::Error,
    output::{Output, text::plain},
};
use verdict::Verdict;

/// Between two looks.
const PERIOD: Duration = Duration::from_millis(500);

pub(super) async fn wait(hub: &Hub, options: &Wait, output: &mut Output) -> Result<(), Error> {
    let mut last = match look(hub, options).await? {
        Verdict::NotYet(why) => why,
        verdict => return tell(verdict, options, output),
    };
    let what = format!("waiting for {} to be {}", name(options), options.condition);
    output.progress().say(&what);
    let waited = tokio::time::timeout(options.timeout.0, async {
        loop {
            tokio::time::sleep(PERIOD).await;
            match look(hub, options).await {
                Ok(Verdict::NotYet(why)) => {
                    if why != last {
                        output.note(&format!("waiting: {}", plain(&why)));
                    }
                    last = why;
                }
                Ok(verdict) => return Ok(verdict),
                Err(error) if error.is_retryable() => last = error.to_string(),
                Err(error) => return Err(error),
            }
        }
    })
    .await;
    match waited {
        Ok(verdict) => tell(verdict?, options, output),
        Err(_) => Err(Error::Timeout(format!(
            "{} is not {} after {}: {last}",
            name(options),
            options.condition,
            options.timeout
        ))),
    }
}

fn tell(verdict: Verdict, options: &Wait, output: &mut Output) -> Result<(), Error> {
    match verdict {
        Verdict::Met if output.format() == Format::Name => output.line(&name(options)),
        Verdict::Met => {
            output.note(&format!("{} is {}", name(options), options.condition));
            Ok(())
        }
        Verdict::Never(why) => Err(Error::RunFailed(why)),
        Verdict::NotYet(why) => Err(Error::Timeout(why)),
    }
}

fn name(options: &Wait) -> String {
    format!("{}/{}", kind(options), bare(options))
}

fn kind(options: &Wait) -> &'static str {
    match options.subject {
        Subject::Set => "set",
        Subject::Run => "run",
        Subject::App => "application",
        Subject::Cluster => "cluster",
    }
}

fn bare(options: &Wait) -> &str {
    args::bare(&options.name, kind(options))
}

fn request(options: &Wait) -> wire::ListRequest {
    wire::ListRequest {
        project: options.project.name(),
        name: bare(options).to_owned(),
        ..wire::ListRequest::default()
    }
}

async fn look(hub: &Hub, options: &Wait) -> Result<Verdict, Error> {
    let condition = &options.condition;
    match options.subject {
        Subject::Run => {
            let request = wire::GetRunRequest {
                run_id: bare(options).to_owned(),
                ..Default::default()
            };
            Ok(condition.of_run(&hub.call(async |fleet| fleet.get_run(request).await).await?))
        }
        Subject::Set => look_at_set(hub, options).await,
        Subject::App => {
            let app = one(
                list::<wire::Application>(hub, request(options)).await?,
                options,
            )?;
            Ok(condition.of_app(app.as_ref()))
        }
        Subject::Cluster => {
            let mut request = request(options);
            request.project.clear();
            let cluster = one(list::<wire::Cluster>(hub, request).await?, options)?;
            Ok(condition.of_cluster(cluster.as_ref()))
        }
    }
}

/// The only one, or none; several mean that the project is missing.
fn one<T>(mut items: Vec<T>, options: &Wait) -> Result<Option<T>, Error> {
    if items.len() > 1 {
        return Err(Error::Usage(format!(
            "there are {} of the name {}: say which with --project",
            items.len(),
            bare(options)
        )));
    }
    Ok(items.pop())
}

async fn look_at_set(hub: &Hub, options: &Wait) -> Result<Verdict, Error> {
    let Some(set) = one(
        list::<wire::ApplicationSet>(hub, request(options)).await?,
        options,
    )?
    else {
        return Ok(options.condition.of_missing_set());
    };
    let of_set = wire::GetRunRequest {
        project: set.project.clone(),
        set: set.name.clone(),
        run_id: String::new(),
    };
    if let Some(commit) = &options.commit {
        let run = match hub.call(async |fleet| fleet.get_run(of_set).await).await {
            Ok(run) => Some(run),
            Err(Error::Hub(status)) if status.code() == Code::NotFound => None,
            Err(error) => return Err(error),
        };
        let of_commit = |run: &wire::Run| {
            run.sources
                .iter()
                .any(|source| source.commit.starts_with(commit.as_str()))
        };
        return Ok(match run.filter(of_commit) {
            Some(run) => options.condition.of_run(&run),
            None => Verdict::NotYet(format!("no run of commit {commit} yet")),
        });
    }
    if options.condition == Condition::Healthy {
        let request = wire::ListRequest {
            project: set.project.clone(),
            set: set.name.clone(),
            ..wire::ListRequest::default()
        };
        return Ok(verdict::all_healthy(
            &set,
            &list::<wire::Application>(hub, request).await?,
        ));
    }
    Ok(options.condition.of_set(&set))
}
