//! `tidegate describe`.

use std::str::FromStr;

use clap::{Args, ValueEnum as _};

use super::{Get, Project, What};
use crate::error::Error;

/// Options of `describe`.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Describe {
    /// What to describe: set, app, cluster, release, run, source, hold or pin; or KIND/NAME, as
    /// `-o name` prints it.
    #[arg(value_name = "WHAT|KIND/NAME")]
    pub thing: Thing,
    /// Its name: a run's or hold's id, a release's SET/NUMBER, a source's URL@REVISION, a pinned
    /// application.
    pub name: Option<String>,
    /// Only in this project.
    #[command(flatten)]
    pub project: Project,
    /// Only of this application set; a run or release without a name is then the latest.
    #[arg(short, long, value_name = "NAME")]
    pub set: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  tidegate describe set web
  tidegate describe app web-prod-eu
  tidegate describe run --set web
  tidegate describe release web/7
  tidegate get holds -o name | xargs -n 1 tidegate describe";

/// A kind of thing, and the name of one if it came with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thing {
    /// The kind.
    pub what: What,
    /// The name in KIND/NAME.
    pub name: Option<String>,
}

impl FromStr for Thing {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, name) = match text.split_once('/') {
            Some((kind, name)) => (kind, Some(name.to_owned())),
            None => (text, None),
        };
        match What::from_str(kind, false) {
            Ok(What::Audit) => Err("an audit record shows all it has with `get audit`".to_owned()),
            Ok(what) => Ok(Self { what, name }),
            Err(_) => {
                Err("there are set, app, cluster, release, run, source, hold and pin".to_owned())
            }
        }
    }
}

impl Describe {
    /// The one thing, as `get` selects it.
    pub fn one(&self) -> Result<Get, Error> {
        let what = self.thing.what;
        let name = match (&self.thing.name, &self.name) {
            (Some(with_kind), Some(name)) => {
                return Err(Error::Usage(format!(
                    "two names, {with_kind} and {name}: describe one thing at a time"
                )));
            }
            (one, other) => one.clone().or_else(|| other.clone()),
        };
        let latest = matches!(what, What::Runs | What::Releases) && self.set.is_some();
        if name.as_deref().is_none_or(str::is_empty) && !latest {
            let kind = what.singular();
            return Err(Error::Usage(format!(
                "name the {kind} to describe; `tidegate get {}` lists them",
                what.plural()
            )));
        }
        Ok(Get {
            limit: name.is_none().then_some(1),
            name,
            project: self.project.clone(),
            set: self.set.clone(),
            ..Get::of(what)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_may_carry_the_name() {
        let thing = |text: &str| text.parse::<Thing>().map(|it| (it.what, it.name));
        let name = |name: &str| Some(name.to_owned());
        assert_eq!(thing("app"), Ok((What::Applications, None)));
        assert_eq!(thing("set/web"), Ok((What::Sets, name("web"))));
        assert_eq!(thing("release/web/7"), Ok((What::Releases, name("web/7"))));
        assert_eq!(
            thing("source/https://git/a.git@main"),
            Ok((What::Sources, name("https://git/a.git@main")))
        );
        assert!(thing("web").unwrap_err().contains("cluster"));
        assert!(thing("audit/1").unwrap_err().contains("get audit"));
    }
}
