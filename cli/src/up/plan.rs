//! Which clusters a fleet has, and whether the one that is there is the one that was asked for.
//!
//! Pure. Never knows ports or processes.

use std::path::Path;

use super::{
    absolute,
    error::Error,
    repository,
    state::{Cluster, State},
};
use crate::args;

/// Environments of a fleet, in the order of their waves.
const ENVIRONMENTS: [&str; 3] = ["dev", "staging", "prod"];
/// Clusters unless told otherwise.
const CLUSTERS: u16 = 6;

/// The environment of cluster `index` of `count`: equal parts, in order.
fn environment(index: usize, count: usize) -> &'static str {
    ENVIRONMENTS[(index * ENVIRONMENTS.len() / count.max(1)).min(ENVIRONMENTS.len() - 1)]
}

/// A fleet as the options want it.
pub(super) fn begin(options: &args::Up) -> Result<State, Error> {
    let example = repository::name(options.example.unwrap_or(args::Example::Waves));
    let cluster = |name: String, env: &str, context: Option<String>| Cluster {
        name,
        env: env.to_owned(),
        context,
        port: 0,
    };
    let real = options.contexts.len();
    let count = usize::from(options.clusters.unwrap_or(CLUSTERS));
    let clusters = if options.kubeconfig.is_some() {
        let named = options.contexts.iter().enumerate();
        named
            .map(|(index, named)| {
                let env = environment(index, real);
                cluster(named.name.clone(), env, Some(named.context.clone()))
            })
            .collect()
    } else {
        let mut counts = [0_usize; ENVIRONMENTS.len()];
        (0..count)
            .map(|index| {
                let env = environment(index, count);
                let place = ENVIRONMENTS.iter().position(|it| *it == env);
                let number = &mut counts[place.unwrap_or_default()];
                *number += 1;
                cluster(format!("{env}-{number}"), env, None)
            })
            .collect()
    };
    let kubeconfig = options.kubeconfig.as_deref().map(absolute).transpose()?;
    Ok(State::new(example, clusters, kubeconfig))
}

/// The fleet that is there, if it is the one that the options want.
pub(super) fn same(state: State, options: &args::Up, root: &Path) -> Result<State, Error> {
    let different = |has: String, asked: String| Error::Different {
        path: root.to_owned(),
        has,
        asked,
    };
    let simulated = state.clusters.iter().all(|it| it.context.is_none());
    if let Some(asked) = options.example.map(repository::name)
        && asked != state.example
    {
        let (has, asked) = (&state.example, asked);
        return Err(different(
            format!("example {has}"),
            format!("example {asked}"),
        ));
    }
    if let Some(asked) = options.clusters
        && (usize::from(asked) != state.clusters.len() || !simulated)
    {
        let kind = if simulated { "simulated" } else { "real" };
        let has = format!("{} {kind} clusters", state.clusters.len());
        return Err(different(has, format!("{asked} simulated")));
    }
    if options.kubeconfig.is_some() {
        let asked = begin(options)?;
        let names = |state: &State| {
            let names: Vec<_> = state.clusters.iter().map(|it| it.name.as_str()).collect();
            names.join(", ")
        };
        let contexts = |state: &State| -> Vec<Option<String>> {
            state.clusters.iter().map(|it| it.context.clone()).collect()
        };
        if contexts(&asked) != contexts(&state) || names(&asked) != names(&state) {
            let has = format!("the clusters {}", names(&state));
            return Err(different(has, names(&asked)));
        }
    }
    Ok(state)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clusters_are_spread_over_the_environments_in_order() {
        let spread = |count: usize| -> Vec<_> {
            (0..count).map(|index| environment(index, count)).collect()
        };
        assert_eq!(spread(1), ["dev"]);
        assert_eq!(spread(3), ENVIRONMENTS);
        assert_eq!(
            spread(6),
            ["dev", "dev", "staging", "staging", "prod", "prod"]
        );
        assert_eq!(spread(7).iter().filter(|env| **env == "dev").count(), 3);
    }
}
