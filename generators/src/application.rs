//! From a row to an application: every field of the template, rendered and checked.
//!
//! Collects every problem of a row, so that one pass of corrections is enough. Never takes the
//! project from a row.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use tidegate_model::{
    application::{Application, Provenance},
    application_set::ApplicationSet,
    cluster::Cluster,
    dns,
    policy::{Drift, Policy},
    source::{Directory, Source},
};

use crate::{
    destination::Destinations,
    template::{Data, Template},
};

/// A field and what is wrong with it.
pub(crate) type FieldProblem = (String, String);

/// The template of a set, read once for all its rows.
pub(crate) struct ApplicationTemplate<'a> {
    set: &'a ApplicationSet,
    name: Field,
    labels: Vec<(Field, Field)>,
    annotations: Vec<(Field, Field)>,
    repo_url: Field,
    target_revision: Field,
    path: Field,
    include: Field,
    exclude: Field,
    cluster: Field,
    server: Field,
    namespace: Field,
    drift: Field,
}

/// One field that is a template.
struct Field {
    path: String,
    template: Template,
}

/// A row that became no application.
pub(crate) struct Failure {
    /// The name, when that much could be rendered and is one.
    pub(crate) name: Option<String>,
    pub(crate) problems: Vec<FieldProblem>,
}

/// Reads fields and collects what is wrong with them.
#[derive(Default)]
struct Fields {
    problems: Vec<FieldProblem>,
}

impl Fields {
    fn read(&mut self, path: &str, text: &str) -> Field {
        let template = Template::new(text).unwrap_or_else(|error| {
            self.problems.push((path.to_owned(), error.to_string()));
            Template::literal("")
        });
        Field {
            path: path.to_owned(),
            template,
        }
    }

    fn read_map(&mut self, path: &str, map: &BTreeMap<String, String>) -> Vec<(Field, Field)> {
        map.iter()
            .map(|(key, value)| {
                let path = format!("{path}.{key}");
                (self.read(&path, key), self.read(&path, value))
            })
            .collect()
    }

    fn render(&mut self, field: &mut Field, data: &Data) -> String {
        field.template.render(data).unwrap_or_else(|error| {
            self.problems.push((field.path.clone(), error.to_string()));
            String::new()
        })
    }

    fn render_map(
        &mut self,
        entries: &mut [(Field, Field)],
        data: &Data,
    ) -> BTreeMap<String, String> {
        let mut map = BTreeMap::new();
        for (key, value) in entries {
            let (text, value) = (self.render(key, data), self.render(value, data));
            if map.insert(text.clone(), value).is_some() {
                let message = format!("two keys render to {text:?}; make them differ");
                self.problems.push((key.path.clone(), message));
            }
        }
        map
    }

    fn check(&mut self, field: &Field, result: Result<(), String>) {
        // What failed to render is reported already, and is empty here.
        let reported = self.problems.iter().any(|(path, _)| *path == field.path);
        if let (Err(message), false) = (result, reported) {
            self.problems.push((field.path.clone(), message));
        }
    }
}

impl<'a> ApplicationTemplate<'a> {
    /// Reads every field.
    pub(crate) fn new(set: &'a ApplicationSet) -> Result<Self, Vec<FieldProblem>> {
        let template = &set.spec.template;
        let (meta, spec) = (&template.metadata, &template.spec);
        let mut fields = Fields::default();
        let mut read = |path: &str, text: &str| fields.read(&format!("spec.template.{path}"), text);
        let it = Self {
            set,
            name: read("metadata.name", &meta.name),
            repo_url: read("spec.source.repoURL", &spec.source.repo_url),
            target_revision: read("spec.source.targetRevision", &spec.source.target_revision),
            path: read("spec.source.path", &spec.source.path),
            include: read(
                "spec.source.directory.include",
                &spec.source.directory.include,
            ),
            exclude: read(
                "spec.source.directory.exclude",
                &spec.source.directory.exclude,
            ),
            cluster: read("spec.destination.name", &spec.destination.name),
            server: read("spec.destination.server", &spec.destination.server),
            namespace: read("spec.destination.namespace", &spec.destination.namespace),
            drift: read("spec.syncPolicy.drift", &spec.sync_policy.drift),
            labels: fields.read_map("spec.template.metadata.labels", &meta.labels),
            annotations: fields.read_map("spec.template.metadata.annotations", &meta.annotations),
        };
        if fields.problems.is_empty() {
            Ok(it)
        } else {
            Err(fields.problems)
        }
    }

    /// The application of a row.
    pub(crate) fn render(
        &mut self,
        params: &Map<String, Value>,
        provenance: Provenance,
        destinations: &Destinations<'_>,
    ) -> Result<Application, Failure> {
        let data = Data::new(params);
        let mut fields = Fields::default();
        let name = fields.render(&mut self.name, &data);
        fields.check(&self.name, valid_name(&name));
        let named = fields.problems.is_empty().then(|| name.clone());
        let labels = fields.render_map(&mut self.labels, &data);
        let annotations = fields.render_map(&mut self.annotations, &data);
        let source = self.source(&mut fields, &data);
        let cluster = self.destination(&mut fields, &data, destinations);
        let namespace = fields.render(&mut self.namespace, &data);
        fields.check(&self.namespace, valid_namespace(&namespace));
        let drift = fields.render(&mut self.drift, &data);
        let drift = read_drift(&drift);
        fields.check(&self.drift, drift.clone().map(drop));
        match (cluster, drift) {
            (Some(cluster), Ok(drift)) if fields.problems.is_empty() => Ok(Application {
                project: self.set.spec.template.spec.project.clone(),
                set: self.set.metadata.name.clone(),
                name,
                cluster: cluster.uid,
                cluster_name: cluster.name.clone(),
                namespace,
                labels,
                annotations,
                source,
                policy: Policy {
                    prune: self.set.spec.template.spec.sync_policy.prune,
                    drift,
                },
                provenance,
            }),
            _ => Err(Failure {
                name: named,
                problems: fields.problems,
            }),
        }
    }

    fn source(&mut self, fields: &mut Fields, data: &Data) -> Source {
        let repo_url = fields.render(&mut self.repo_url, data);
        fields.check(&self.repo_url, not_empty(&repo_url, "the repository's URL"));
        let target_revision = fields.render(&mut self.target_revision, data);
        let wanted = "a branch, tag or commit";
        fields.check(&self.target_revision, not_empty(&target_revision, wanted));
        let path = fields.render(&mut self.path, data);
        fields.check(&self.path, valid_path(&path));
        Source {
            repo_url,
            target_revision,
            path,
            directory: Directory {
                recurse: self.set.spec.template.spec.source.directory.recurse,
                include: fields.render(&mut self.include, data),
                exclude: fields.render(&mut self.exclude, data),
            },
        }
    }

    fn destination<'c>(
        &mut self,
        fields: &mut Fields,
        data: &Data,
        destinations: &Destinations<'c>,
    ) -> Option<&'c Cluster> {
        let before = fields.problems.len();
        let name = fields.render(&mut self.cluster, data);
        let server = fields.render(&mut self.server, data);
        if fields.problems.len() > before {
            return None;
        }
        let (field, found) = match (name.as_str(), server.as_str()) {
            ("", "") => {
                let message = "name and server are both empty; give one of them";
                (&self.cluster, Err(message.to_owned()))
            }
            (name, "") => (&self.cluster, destinations.by_name(name)),
            ("", server) => (&self.server, destinations.by_server(server)),
            _ => {
                let message = "name and server are both set; leave one of them empty";
                (&self.server, Err(message.to_owned()))
            }
        };
        let (cluster, result) = match found {
            Ok(cluster) => (Some(cluster), Ok(())),
            Err(message) => (None, Err(message)),
        };
        fields.check(field, result);
        cluster
    }
}

fn valid_name(name: &str) -> Result<(), String> {
    if dns::is_subdomain(name) {
        return Ok(());
    }
    let rule = dns::SUBDOMAIN_RULE;
    Err(format!(
        "{name:?} is no name for an application; use {rule}, for example with normalize"
    ))
}

fn valid_namespace(namespace: &str) -> Result<(), String> {
    if namespace.is_empty() || dns::is_label(namespace) {
        return Ok(());
    }
    let rule = dns::LABEL_RULE;
    Err(format!(
        "{namespace:?} is no name of a namespace; use {rule}"
    ))
}

/// A row may come from a repository that other people write to: it must not lead elsewhere.
fn valid_path(path: &str) -> Result<(), String> {
    let outside = path.starts_with('/') || path.split('/').any(|part| part == "..");
    if outside || path.is_empty() {
        return Err(format!(
            "{path:?} is no path in the repository; write it relative to the root, without .., \
             and . for the root"
        ));
    }
    Ok(())
}

fn not_empty(text: &str, wanted: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err(format!("it is empty for this row; give {wanted}"));
    }
    Ok(())
}

fn read_drift(text: &str) -> Result<Drift, String> {
    match text {
        "heal" => Ok(Drift::Heal),
        "warn" => Ok(Drift::Warn),
        "off" => Ok(Drift::Off),
        other => Err(format!("{other:?} is not known; give heal, warn or off")),
    }
}
