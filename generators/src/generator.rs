//! From an entry of `spec.generators` to its rows.
//!
//! One function a generator, found here by its name. Never looks at the template.

use serde_json::{Map, Value, json};
use tidegate_model::{
    application::InputVersion,
    application_set::{ClusterGenerator, Generator, ListGenerator},
    cluster::Cluster,
    digest::Digest,
};

use crate::{
    flatten::flatten,
    git,
    inputs::Inputs,
    row::{Lost, Row, Rows},
    template::text::normalize,
    values::Values,
};

/// The rows of the entry with this index, after its selector.
pub(crate) fn rows(index: usize, entry: &Generator, inputs: &Inputs<'_>) -> Rows {
    let path = |name: &str| format!("spec.generators[{index}].{name}");
    let mut rows = Rows::default();
    match (&entry.list, &entry.clusters, &entry.git) {
        (Some(it), None, None) => {
            rows.generator = path("list");
            list(it, &mut rows);
        }
        (None, Some(it), None) => {
            rows.generator = path("clusters");
            clusters(it, inputs.clusters, &mut rows);
        }
        (None, None, Some(it)) => {
            rows.generator = path("git");
            git::rows(it, inputs, &mut rows);
        }
        _ => {
            rows.generator = format!("spec.generators[{index}]");
            let message = "the entry must name exactly one of list, clusters, git; correct it";
            rows.lost.push(Lost {
                message: message.to_owned(),
                ..Lost::default()
            });
        }
    }
    if let Some(selector) = &entry.selector {
        match selector.validate() {
            Ok(()) => rows
                .kept
                .retain(|row| selector.matches(&flatten(&row.params))),
            Err(error) => {
                rows.kept.clear();
                rows.lost.push(Lost {
                    field: format!("spec.generators[{index}].selector"),
                    message: error.to_string(),
                    ..Lost::default()
                });
            }
        }
    }
    rows
}

fn list(list: &ListGenerator, rows: &mut Rows) {
    let elements = list.elements.iter().enumerate();
    rows.kept = elements
        .map(|(index, element)| Row {
            origin: format!("element {index}"),
            params: element.clone(),
            inputs: Vec::new(),
        })
        .collect();
}

fn clusters(generator: &ClusterGenerator, clusters: &[Cluster], rows: &mut Rows) {
    if let Err(error) = generator.selector.validate() {
        rows.lost.push(Lost {
            field: format!("{}.selector", rows.generator),
            message: error.to_string(),
            ..Lost::default()
        });
        return;
    }
    let Some(mut values) = Values::new(&generator.values, rows) else {
        return;
    };
    let mut selected: Vec<_> = clusters
        .iter()
        .filter(|cluster| generator.selector.matches(&cluster.labels))
        .collect();
    selected.sort_by_key(|cluster| (&cluster.name, cluster.uid));
    for cluster in selected {
        let row = Row {
            origin: format!("cluster {}", cluster.name),
            params: cluster_params(cluster),
            inputs: vec![version(cluster)],
        };
        values.add(row, rows);
    }
}

fn cluster_params(cluster: &Cluster) -> Map<String, Value> {
    let mut params = Map::new();
    let server = cluster.servers.first().cloned().unwrap_or_default();
    for (key, value) in [
        ("name", json!(cluster.name)),
        ("nameNormalized", json!(normalize(&cluster.name))),
        ("server", json!(server)),
        // Argo CD's parameter for clusters that belong to a project; ours belong to none.
        ("project", json!("")),
        // Both always there, so that `hasKey` can look into them.
        (
            "metadata",
            json!({"labels": cluster.labels, "annotations": cluster.annotations}),
        ),
    ] {
        params.insert(key.to_owned(), value);
    }
    params
}

fn version(cluster: &Cluster) -> InputVersion {
    let content = json!({
        "uid": cluster.uid,
        "name": cluster.name,
        "labels": cluster.labels,
        "annotations": cluster.annotations,
        "servers": cluster.servers,
    });
    InputVersion {
        input: format!("cluster/{}", cluster.name),
        version: Digest::of("cluster", &content).to_string(),
    }
}
