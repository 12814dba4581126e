//! What a request ends in when it fails: an HTTP code and a `Status` in the server's own words.
//!
//! Owns the shapes and texts of refusals (k8s.io/apimachinery `pkg/api/errors`). Never decides.

use serde_json::{Value, json};

use crate::resources::Resource;

/// The whole answer for a path that is not served: no `Status`, as on the real server.
const UNSERVED: &str = "404 page not found\n";

/// A refusal.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Refusal {
    /// HTTP code.
    pub(crate) code: u16,
    reason: &'static str,
    message: String,
    details: Option<Value>,
}

impl Refusal {
    fn new(code: u16, reason: &'static str, message: String, details: Option<Value>) -> Self {
        Self {
            code,
            reason,
            message,
            details,
        }
    }

    /// The answer in full if it is no `Status`.
    pub(crate) fn plain(&self) -> Option<&str> {
        (self.message == UNSERVED).then_some(UNSERVED)
    }

    /// The `Status` object.
    pub(crate) fn status(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "code": self.code,
        });
        if !self.reason.is_empty() {
            status["reason"] = json!(self.reason);
        }
        if let Some(details) = &self.details {
            status["details"] = details.clone();
        }
        status
    }

    /// No such object.
    pub(crate) fn not_found(resource: &Resource, name: &str) -> Self {
        let message = format!("{} {name:?} not found", resource.qualified());
        Self::new(404, "NotFound", message, Some(details(resource, name)))
    }

    /// No such path below a group that is served.
    pub(crate) fn unserved() -> Self {
        let message = "the server could not find the requested resource".to_owned();
        Self::new(404, "NotFound", message, Some(json!({})))
    }

    /// No such path at all.
    pub(crate) fn nowhere() -> Self {
        Self::new(404, "", UNSERVED.to_owned(), None)
    }

    /// A new object that says a version.
    pub(crate) fn versioned() -> Self {
        let message = "resourceVersion should not be set on objects to be created";
        Self::new(500, "", message.to_owned(), None)
    }

    /// A replacement that must say which version it replaces; the server names the plural here.
    pub(crate) fn unversioned(resource: &Resource, name: &str) -> Self {
        let words = "Invalid value: 0: must be specified for an update";
        let field = "metadata.resourceVersion";
        let message = format!(
            "{} {name:?} is invalid: {field}: {words}",
            resource.qualified()
        );
        let mut details = details(resource, name);
        details["causes"] =
            json!([{"reason": "FieldValueInvalid", "message": words, "field": field}]);
        Self::new(422, "Invalid", message, Some(details))
    }

    pub(crate) fn already_exists(resource: &Resource, name: &str) -> Self {
        let message = format!("{} {name:?} already exists", resource.qualified());
        Self::new(409, "AlreadyExists", message, Some(details(resource, name)))
    }

    /// Somebody else was faster, or a precondition does not hold.
    pub(crate) fn conflict(resource: &Resource, name: &str, why: &str) -> Self {
        let what = resource.qualified();
        let message = format!("Operation cannot be fulfilled on {what} {name:?}: {why}");
        Self::new(409, "Conflict", message, Some(details(resource, name)))
    }

    /// A precondition of a delete does not hold; the server names the kind there.
    pub(crate) fn precondition(resource: &Resource, name: &str, why: &str) -> Self {
        let mut kind = resource.kind.clone();
        if !resource.group.is_empty() {
            kind = format!("{kind}.{}", resource.group);
        }
        let message = format!("Operation cannot be fulfilled on {kind} {name:?}: {why}");
        let mut details = details(resource, name);
        details["kind"] = json!(resource.kind);
        Self::new(409, "Conflict", message, Some(details))
    }

    /// Fields that other managers own, each with its manager and the API version used.
    pub(crate) fn owned(conflicts: &[(String, String)]) -> Self {
        let mut by_owner: Vec<(&str, Vec<&str>)> = Vec::new();
        for (owner, field) in conflicts {
            match by_owner.iter_mut().find(|(it, _)| it == owner) {
                Some((_, fields)) => fields.push(field),
                None => by_owner.push((owner, vec![field])),
            }
        }
        let message = if let [(owner, field)] = conflicts {
            format!("Apply failed with 1 conflict: conflict with {owner}: {field}")
        } else {
            let parts = by_owner.iter().map(|(owner, fields)| {
                format!("conflicts with {owner}:\n- {}", fields.join("\n- "))
            });
            let parts: Vec<_> = parts.collect();
            let count = conflicts.len();
            format!("Apply failed with {count} conflicts: {}", parts.join("\n"))
        };
        let mut by_field: Vec<_> = conflicts.iter().collect();
        by_field.sort_by(|a, b| (&a.1, &a.0).cmp(&(&b.1, &b.0)));
        let causes: Vec<_> = by_field
            .into_iter()
            .map(|(owner, field)| {
                json!({"reason": "FieldManagerConflict", "message": format!("conflict with {owner}"), "field": field})
            })
            .collect();
        Self::new(409, "Conflict", message, Some(json!({"causes": causes})))
    }

    /// Content that the kind's rules refuse: (field, cause, words) each.
    pub(crate) fn invalid(resource: &Resource, name: &str, causes: &[Cause]) -> Self {
        Self::causes(&resource.group, &resource.kind, name, causes)
    }

    fn causes(group: &str, kind: &str, name: &str, causes: &[Cause]) -> Self {
        let words: Vec<_> = causes
            .iter()
            .map(|cause| format!("{}: {}", cause.field, cause.words))
            .collect();
        let text = match &*words {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let causes: Vec<_> = causes
            .iter()
            .map(|cause| json!({"reason": cause.reason, "message": cause.words, "field": cause.field}))
            .collect();
        let mut details = json!({"kind": kind, "causes": causes});
        if !name.is_empty() {
            details["name"] = json!(name);
        }
        let mut what = kind.to_owned();
        if !group.is_empty() {
            what = format!("{kind}.{group}");
            details["group"] = json!(group);
        }
        let message = format!("{what} {name:?} is invalid: {text}");
        Self::new(422, "Invalid", message, Some(details))
    }

    /// The namespace is on its way out and takes nothing new.
    pub(crate) fn terminating(resource: &Resource, name: &str, namespace: &str) -> Self {
        let what = resource.qualified();
        let why = "because it is being terminated";
        let message = format!(
            "{what} {name:?} is forbidden: unable to create new content in namespace {namespace} {why}"
        );
        let mut details = details(resource, name);
        details["causes"] = json!([{
            "reason": "NamespaceTerminating", "field": "metadata.namespace",
            "message": format!("namespace {namespace} is being terminated"),
        }]);
        Self::new(403, "Forbidden", message, Some(details))
    }

    /// The history does not reach back to this resourceVersion.
    pub(crate) fn expired(wanted: u64, oldest: u64) -> Self {
        let message = format!("too old resource version: {wanted} ({oldest})");
        Self::new(410, "Expired", message, None)
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message.into(), None)
    }

    /// What the real server reports as its own failure: an apply that its schema does not know, a
    /// watch from what is no version.
    pub(crate) fn untyped(message: String) -> Self {
        Self::new(500, "", message, None)
    }

    pub(crate) fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource";
        let details = Some(json!({}));
        Self::new(405, "MethodNotAllowed", message.to_owned(), details)
    }

    /// A JSON patch that does not fit; the server does not say where.
    pub(crate) fn unfit() -> Self {
        let message = "the server rejected our request due to an error in our request";
        Self::new(422, "Invalid", message.to_owned(), Some(json!({})))
    }

    /// A patch that brings fields which the kind does not have.
    pub(crate) fn strict_patch(words: &str) -> Self {
        let message = format!(" \"\" is invalid: patch: {words}");
        let causes = json!([{"reason": "FieldValueInvalid", "message": words, "field": "patch"}]);
        Self::new(422, "Invalid", message, Some(json!({"causes": causes})))
    }

    /// A `Scale` whose content is refused.
    pub(crate) fn invalid_scale(name: &str, causes: &[Cause]) -> Self {
        Self::causes("autoscaling", "Scale", name, causes)
    }

    /// `DeleteOptions` that are refused.
    pub(crate) fn invalid_deletion(causes: &[Cause]) -> Self {
        Self::causes("meta.k8s.io", "DeleteOptions", "", causes)
    }

    pub(crate) fn unsupported_media(found: &str) -> Self {
        let message = format!(
            "the body of the request was in an unknown format ({found:?}); the sandbox takes JSON \
             and YAML, merge patch, JSON patch, apply, and strategic merge patch of built-in kinds"
        );
        Self::new(415, "UnsupportedMediaType", message, None)
    }

    /// What kubectl's own makers send (`kubectl create configmap`, `kubectl autoscale`).
    pub(crate) fn protobuf() -> Self {
        let message = "the sandbox does not read protobuf; let kubectl write the manifest and apply \
             that: kubectl create ... --dry-run=client -o yaml | kubectl apply -f -";
        Self::new(415, "UnsupportedMediaType", message.to_owned(), None)
    }

    /// An apply without a name for its manager.
    pub(crate) fn unmanaged() -> Self {
        let words = "Required value: is required for apply patch";
        let message = format!("PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: {words}");
        let details = json!({
            "group": "meta.k8s.io", "kind": "PatchOptions",
            "causes": [{"reason": "FieldValueRequired", "message": words, "field": "fieldManager"}],
        });
        Self::new(422, "Invalid", message, Some(details))
    }

    pub(crate) fn not_acceptable(wanted: &str) -> Self {
        let message = format!("the sandbox answers in JSON only, not in {wanted:?}");
        Self::new(406, "NotAcceptable", message, None)
    }

    /// Something a real server does and the sandbox does not.
    pub(crate) fn unsupported(what: &str) -> Self {
        let message = format!("the sandbox does not support {what}; use a real cluster for it");
        Self::new(501, "NotImplemented", message, None)
    }
}

/// Why a field is refused.
#[derive(Clone, Debug)]
pub(crate) struct Cause {
    pub(crate) field: String,
    pub(crate) reason: &'static str,
    pub(crate) words: String,
}

impl Cause {
    fn new(field: &str, reason: &'static str, words: String) -> Self {
        Self {
            field: field.to_owned(),
            reason,
            words,
        }
    }

    fn with(kind: &str, value: &str, detail: &str) -> String {
        let mut words = kind.to_owned();
        for part in [value, detail].iter().filter(|part| !part.is_empty()) {
            words = format!("{words}: {part}");
        }
        words
    }

    /// A value that is there and not good.
    pub(crate) fn invalid(field: &str, value: &Value, detail: &str) -> Self {
        let words = Self::with("Invalid value", &value.to_string(), detail);
        Self::new(field, "FieldValueInvalid", words)
    }

    /// A value of another JSON type.
    pub(crate) fn mistyped(field: &str, found: &str, detail: &str) -> Self {
        let words = Self::with("Invalid value", &format!("{found:?}"), detail);
        Self::new(field, "FieldValueTypeInvalid", words)
    }

    /// A value that must be there.
    pub(crate) fn required(field: &str, detail: &str) -> Self {
        let words = Self::with("Required value", "", detail);
        Self::new(field, "FieldValueRequired", words)
    }

    /// A value that is none of those there are.
    pub(crate) fn unsupported(field: &str, value: &Value, values: &[&str]) -> Self {
        let values: Vec<_> = values.iter().map(|it| format!("{it:?}")).collect();
        let detail = format!("supported values: {}", values.join(", "));
        let words = Self::with("Unsupported value", &value.to_string(), &detail);
        Self::new(field, "FieldValueNotSupported", words)
    }

    /// A second one of what there may be one of.
    pub(crate) fn duplicate(field: &str, value: &Value) -> Self {
        let words = Self::with("Duplicate value", &value.to_string(), "");
        Self::new(field, "FieldValueDuplicate", words)
    }

    /// A value that may not be there.
    pub(crate) fn forbidden(field: &str, detail: &str) -> Self {
        let words = Self::with("Forbidden", "", detail);
        Self::new(field, "FieldValueForbidden", words)
    }

    /// A name of something that is not there.
    pub(crate) fn not_found(field: &str, value: &Value) -> Self {
        let words = Self::with("Not found", &value.to_string(), "");
        Self::new(field, "FieldValueNotFound", words)
    }

    /// More bytes than there may be.
    pub(crate) fn too_long(field: &str, most: usize) -> Self {
        let unit = if most == 1 { "byte" } else { "bytes" };
        let detail = format!("may not be more than {most} {unit}");
        Self::new(
            field,
            "FieldValueTooLong",
            Self::with("Too long", "", &detail),
        )
    }

    /// More items than there may be.
    pub(crate) fn too_many(field: &str, found: usize, most: u64) -> Self {
        let unit = if most == 1 { "item" } else { "items" };
        let detail = format!("must have at most {most} {unit}");
        let words = Self::with("Too many", &found.to_string(), &detail);
        Self::new(field, "FieldValueTooMany", words)
    }
}

fn details(resource: &Resource, name: &str) -> Value {
    let mut details = json!({"name": name, "kind": resource.plural});
    if !resource.group.is_empty() {
        details["group"] = json!(resource.group);
    }
    details
}
