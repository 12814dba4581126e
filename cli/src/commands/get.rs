//! `get`: lists, and single things out of them.
//!
//! Owns what is refused and what an empty list says. Never filters what the hub filters.

use tidegate_proto::v1 as wire;

use super::{list::Shown, watch};
use crate::{
    args::{Get, What},
    connect::Hub,
    error::Error,
    output::{Output, rows::Row},
};

/// Refuses filters that mean nothing for what is asked: ignoring them would show too much.
pub(super) fn check(options: &Get) -> Result<(), Error> {
    let what = options.what;
    let refuse = |flag: &str| {
        Err(Error::Usage(format!(
            "{flag} means nothing for {}: leave it out",
            what.plural()
        )))
    };
    if options.set.is_some() && !what.has_set() {
        return refuse("--set");
    }
    if options.cluster.is_some() && !what.has_cluster() {
        return refuse("--cluster");
    }
    Ok(())
}

/// Shows what is asked for.
pub(super) async fn get(hub: &Hub, options: &Get, output: &mut Output) -> Result<(), Error> {
    match options.what {
        What::Sets => shown::<wire::ApplicationSet>(hub, options, output).await,
        What::WavePlans => shown::<wire::WavePlan>(hub, options, output).await,
        What::Applications => shown::<wire::Application>(hub, options, output).await,
        What::Clusters => shown::<wire::Cluster>(hub, options, output).await,
        What::Releases => shown::<wire::Release>(hub, options, output).await,
        What::Runs => shown::<wire::Run>(hub, options, output).await,
        What::Sources => shown::<wire::Source>(hub, options, output).await,
        What::Holds => shown::<wire::Hold>(hub, options, output).await,
        What::Pins => shown::<wire::Pin>(hub, options, output).await,
        What::Audit => shown::<wire::AuditRecord>(hub, options, output).await,
    }
}

async fn shown<T: Shown>(hub: &Hub, options: &Get, output: &mut Output) -> Result<(), Error> {
    if !options.watching.watch {
        return show(options, &T::select(hub, options).await?, output);
    }
    // What the limit leaves out now is there all the same: it neither comes nor goes later.
    let whole = Get {
        limit: None,
        ..options.clone()
    };
    let all = T::select(hub, &whole).await?;
    if all.is_empty() {
        show(options, &all, output)?;
    }
    let first = T::cut(&all, options.limit).to_vec();
    let look = async |before: &[T]| T::again(hub, &whole, before).await;
    watch::watch(&options.watching, all, &first, look, output).await
}

/// One thing by name stands alone; several of one name (in several projects) are a list.
fn show<T: Row>(options: &Get, items: &[T], output: &mut Output) -> Result<(), Error> {
    let what = options.what.plural();
    match (items, &options.name) {
        ([], Some(name)) => Err(Error::NotFound(format!(
            "no {} {name}{}; `tidegate get {what}` lists them",
            options.what.singular(),
            filters(options)
        ))),
        ([item], Some(_)) => output.item(item),
        _ => output.list(items, &format!("no {what}{}", filters(options))),
    }
}

pub(super) fn filters(options: &Get) -> String {
    let filter = |word: &str, value: &Option<String>| {
        value
            .as_ref()
            .map(|value| format!(" {word} {value}"))
            .unwrap_or_default()
    };
    [
        filter("of set", &options.set),
        filter("in cluster", &options.cluster),
        filter("in project", &options.project.project),
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::{
        args::{Cli, Command},
        commands::list::request,
    };

    fn parse(arguments: &str) -> Get {
        let line = format!("tidegate get {arguments}");
        match Cli::try_parse_from(line.split(' ')).unwrap().command {
            Command::Get(options) => options,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_name_may_carry_its_kind() {
        assert_eq!(request(&parse("runs run/abc")).name, "abc");
        assert_eq!(request(&parse("app application/web-eu")).name, "web-eu");
        assert_eq!(request(&parse("clusters run")).name, "run");
    }

    #[test]
    fn a_release_is_named_by_its_number_or_with_its_set() {
        let both = request(&parse("rel release/web/7"));
        assert_eq!((both.set.as_str(), both.name.as_str()), ("web", "7"));
        let number = request(&parse("release 7 --set web"));
        assert_eq!((number.set.as_str(), number.name.as_str()), ("web", "7"));
    }

    #[test]
    fn a_filter_that_means_nothing_is_refused() {
        assert!(check(&parse("clusters --set web")).is_err());
        assert!(check(&parse("runs --cluster dev")).is_err());
        assert!(check(&parse("apps --set web --cluster dev")).is_ok());
    }

    #[test]
    fn kinds_have_the_names_that_people_try() {
        for (word, what) in [
            ("set", What::Sets),
            ("appset", What::Sets),
            ("waveplan", What::WavePlans),
            ("app", What::Applications),
            ("cluster", What::Clusters),
            ("rel", What::Releases),
            ("run", What::Runs),
            ("hold", What::Holds),
            ("pin", What::Pins),
            ("src", What::Sources),
            ("audit", What::Audit),
        ] {
            assert_eq!(parse(word).what, what);
        }
    }
}
