//! What an `ApplicationSet` must say beyond its shape, as far as no fleet is needed to know.
//!
//! Finds every problem, not the first. Never expands and never reads a repository.

use crate::{
    API_VERSION, dns,
    document::{self, DocumentError, Violation},
    glob::Glob,
    manifest::Document,
    selector::Selector,
    strategy::{Strategy, StrategyType},
};

use super::{ApplicationSet, Generator, GitGenerator, TemplateSpec};

/// The one kind of document that this module reads.
const KIND: &str = "ApplicationSet";

impl ApplicationSet {
    /// Reads a document and validates it. `file` is named in errors.
    ///
    /// # Errors
    /// Every problem with its line; the first one alone where the shape is wrong.
    pub fn from_document(document: &Document, file: &str) -> Result<Self, Vec<DocumentError>> {
        // Before the shape: of another kind every field would be unknown.
        let text = |field: &str| document.value.get(field).and_then(|it| it.as_str());
        let (version, kind) = (text("apiVersion"), text("kind"));
        let wrong = header(version.unwrap_or_default(), kind.unwrap_or_default());
        if !wrong.is_empty() {
            return Err(document::locate(document, file, wrong));
        }
        let set: Self = document::parse(document, file).map_err(|error| vec![error])?;
        match document::locate(document, file, set.validate()) {
            problems if problems.is_empty() => Ok(set),
            problems => Err(problems),
        }
    }

    /// Everything that is wrong with the set; empty when it can be expanded.
    pub fn validate(&self) -> Vec<Violation> {
        let mut found = header(&self.api_version, &self.kind);
        let name = &self.metadata.name;
        if !dns::is_label(name) {
            let message = format!("name {name:?} is no DNS label; use {}", dns::LABEL_RULE);
            found.push(Violation::new("/metadata/name", message));
        }
        let spec = &self.spec;
        if !spec.go_template {
            let message = "only Go templates are supported; set goTemplate: true and write {{.name}} for {{name}}";
            found.push(Violation::new("/spec/goTemplate", message));
        }
        if spec.max_applications == 0 {
            let message = "0 allows no application; set it to the most this set may ever make";
            found.push(Violation::new("/spec/maxApplications", message));
        }
        if spec.generators.is_empty() {
            let message = "the set has no generator; add list, clusters or git";
            found.push(Violation::new("/spec/generators", message));
        }
        for (index, it) in spec.generators.iter().enumerate() {
            generator(it, &format!("/spec/generators/{index}"), &mut found);
        }
        if spec.template.metadata.name.is_empty() {
            let message =
                "the applications have no name; write a template, for example '{{.name}}-app'";
            found.push(Violation::new("/spec/template/metadata/name", message));
        }
        template(&spec.template.spec, &mut found);
        strategy(&spec.strategy, &mut found);
        found
    }
}

fn header(version: &str, kind: &str) -> Vec<Violation> {
    let mut found = Vec::new();
    if version != API_VERSION {
        let message = format!("{version:?} is not known here; write {API_VERSION}");
        found.push(Violation::new("/apiVersion", message));
    }
    if kind != KIND {
        let message = format!("{kind:?} is not known here; write {KIND} or WavePlan");
        found.push(Violation::new("/kind", message));
    }
    found
}

fn generator(it: &Generator, at: &str, found: &mut Vec<Violation>) {
    let there = [
        ("list", it.list.is_some()),
        ("clusters", it.clusters.is_some()),
        ("git", it.git.is_some()),
    ];
    let names: Vec<_> = there.iter().filter(|it| it.1).map(|it| it.0).collect();
    match names.as_slice() {
        [] => {
            let message = "the entry names no generator; add one of list, clusters, git";
            found.push(Violation::new(at, message));
        }
        [_] => {}
        several => {
            let message = format!(
                "the entry names {}; give each an entry of its own",
                several.join(" and ")
            );
            found.push(Violation::new(at, message));
        }
    }
    if let Some(clusters) = &it.clusters {
        selector(
            &clusters.selector,
            &format!("{at}/clusters/selector"),
            found,
        );
    }
    if let Some(it) = &it.git {
        git(it, &format!("{at}/git"), found);
    }
    if let Some(it) = &it.selector {
        selector(it, &format!("{at}/selector"), found);
    }
}

fn selector(it: &Selector, at: &str, found: &mut Vec<Violation>) {
    if let Err(error) = it.validate() {
        found.push(Violation::new(at, error.to_string()));
    }
}

fn git(it: &GitGenerator, at: &str, found: &mut Vec<Violation>) {
    let mut wrong = |field: &str, message: String| {
        found.push(Violation::new(format!("{at}{field}"), message));
    };
    if it.repo_url.is_empty() {
        wrong(
            "/repoURL",
            "the address is empty; write the repository's URL".to_owned(),
        );
    }
    if it.revision.is_empty() {
        let message =
            "the revision is empty; write a branch, tag or commit, or leave it out for HEAD";
        wrong("/revision", message.to_owned());
    }
    let prefix = &it.path_param_prefix;
    let identifier = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let starts_with_digit = prefix.starts_with(|c: char| c.is_ascii_digit());
    if !prefix.chars().all(identifier) || starts_with_digit || prefix == "values" {
        let message = format!(
            "{prefix:?} cannot be used as .{prefix}.path; use letters, digits and _, not values"
        );
        wrong("/pathParamPrefix", message);
    }
    let (field, patterns) = match (it.directories.is_empty(), it.files.is_empty()) {
        (false, true) => ("/directories", &it.directories),
        (true, false) => ("/files", &it.files),
        (true, true) => {
            wrong(
                "",
                "neither directories nor files are there; add one of them".to_owned(),
            );
            return;
        }
        (false, false) => {
            let message = "directories and files are both there; give each a generator of its own";
            wrong("", message.to_owned());
            return;
        }
    };
    for (index, pattern) in patterns.iter().enumerate() {
        if let Err(error) = Glob::new(&pattern.path) {
            wrong(&format!("{field}/{index}/path"), error.to_string());
        }
    }
    if patterns.iter().all(|pattern| pattern.exclude) {
        let message = "every pattern excludes, so nothing can match; add one without exclude";
        wrong(field, message.to_owned());
    }
}

fn template(it: &TemplateSpec, found: &mut Vec<Violation>) {
    let mut wrong = |field: &str, message: String| {
        found.push(Violation::new(
            format!("/spec/template/spec{field}"),
            message,
        ));
    };
    let project = &it.project;
    if project.contains("{{") {
        let message = "the project must be literal: rows may not choose it; write its name";
        wrong("/project", message.to_owned());
    } else if !dns::is_label(project) {
        let message = format!(
            "project {project:?} is no DNS label; use {}",
            dns::LABEL_RULE
        );
        wrong("/project", message);
    }
    if it.source.repo_url.is_empty() {
        wrong(
            "/source/repoURL",
            "the address is empty; write the repository's URL".to_owned(),
        );
    }
    if it.source.target_revision.is_empty() {
        let message =
            "the revision is empty; write a branch, tag or commit, or leave it out for HEAD";
        wrong("/source/targetRevision", message.to_owned());
    }
    let to = &it.destination;
    match (to.name.is_empty(), to.server.is_empty()) {
        (true, true) => wrong(
            "/destination",
            "it names no cluster; add name or server".to_owned(),
        ),
        (false, false) => wrong(
            "/destination",
            "it has name and server; keep one of them".to_owned(),
        ),
        _ => {}
    }
    let drift = &it.sync_policy.drift;
    if !drift.contains("{{") && !["heal", "warn", "off"].contains(&drift.as_str()) {
        let message = format!("{drift:?} is not known; write heal, warn or off");
        wrong("/syncPolicy/drift", message);
    }
}

/// What is wrong with a strategy at `/spec/strategy`.
pub(crate) fn strategy(it: &Strategy, found: &mut Vec<Violation>) {
    let mut wrong = |field: String, message: String| {
        found.push(Violation::new(format!("/spec/strategy{field}"), message));
    };
    match (it.kind, it.waves.is_empty()) {
        (StrategyType::Waves, true) => {
            let message = "type Waves has no waves; add one, or use type AllAtOnce";
            wrong("/waves".to_owned(), message.to_owned());
        }
        (StrategyType::AllAtOnce, false) => {
            let message = "type AllAtOnce takes no waves; set type: Waves";
            wrong("/waves".to_owned(), message.to_owned());
        }
        _ => {}
    }
    for (index, wave) in it.waves.iter().enumerate() {
        let name = &wave.name;
        if !dns::is_label(name) {
            let message = format!("name {name:?} is no DNS label; use {}", dns::LABEL_RULE);
            wrong(format!("/waves/{index}/name"), message);
        }
        if it.waves[..index].iter().any(|other| other.name == *name) {
            let message = format!("wave {name:?} is there twice; rename one of them");
            wrong(format!("/waves/{index}/name"), message);
        }
        let select = [
            ("clusters", &wave.select.clusters),
            ("applications", &wave.select.applications),
        ];
        for (field, selector) in select {
            if let Err(error) = selector.validate() {
                wrong(format!("/waves/{index}/select/{field}"), error.to_string());
            }
        }
        if let Some(limit) = wave.limit
            && limit.count.is_some() == limit.percent.is_some()
        {
            let message = "a limit is either count or percent; keep one of them";
            wrong(format!("/waves/{index}/limit"), message.to_owned());
        }
    }
}

#[cfg(test)]
mod tests;
