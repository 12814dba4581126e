//! Whether the values of a custom resource fit the structural schema of its definition.
//!
//! Owns the rules and words of the real server (kube-openapi `pkg/validation`, apiextensions
//! `listtype`): types, bounds, lengths, patterns, enumerations, required fields, keys of lists, and
//! that what did not change is not judged again. Rules in CEL are not evaluated.

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::{Map, Value, json};

use crate::answer::Cause;

/// The field of a cause that is about a schema and not a field, as the server writes it.
const NOWHERE: &str = "<nil>";

/// The schema of one version, with its patterns ready: to make them for each object would cost more
/// than all the rest of a write.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    schema: Value,
    patterns: Patterns,
}

/// By their text; a pattern that cannot be read lets nothing through, as on the real server.
type Patterns = BTreeMap<String, Option<Regex>>;

impl Rules {
    /// Reads the rules of a schema.
    pub(crate) fn new(schema: Value) -> Self {
        let mut patterns = Patterns::new();
        collect(&schema, &mut patterns);
        Self { schema, patterns }
    }

    /// What is wrong with an object; `live` is what it was before.
    pub(crate) fn causes(&self, object: &Value, live: Option<&Value>) -> Vec<Cause> {
        let mut found = Found::new(&self.patterns);
        check(&self.schema, object, live, "", &mut found);
        let mut causes = found.causes;
        keyed(&self.schema, object, "", &mut causes);
        causes
    }
}

fn collect(schema: &Value, patterns: &mut Patterns) {
    match schema {
        Value::Object(map) => {
            if let Some(text) = map.get("pattern").and_then(Value::as_str) {
                let pattern = || Regex::new(text).ok();
                patterns.entry(text.to_owned()).or_insert_with(pattern);
            }
            map.values().for_each(|below| collect(below, patterns));
        }
        Value::Array(all) => all.iter().for_each(|below| collect(below, patterns)),
        _ => {}
    }
}

/// What was found so far.
struct Found<'a> {
    patterns: &'a Patterns,
    causes: Vec<Cause>,
}

impl<'a> Found<'a> {
    fn new(patterns: &'a Patterns) -> Self {
        let causes = Vec::new();
        Self { patterns, causes }
    }

    fn push(&mut self, cause: Cause) {
        self.causes.push(cause);
    }

    fn extend(&mut self, causes: impl IntoIterator<Item = Cause>) {
        self.causes.extend(causes);
    }
}

fn check(schema: &Value, value: &Value, live: Option<&Value>, at: &str, out: &mut Found<'_>) {
    if live == Some(value) {
        return;
    }
    if let Some(cause) = mistyped(schema, value, at) {
        out.push(cause);
        if schema["type"] == "integer" && value.is_f64() {
            let words = format!("Checked value must be of type integer (default format) in {at}");
            out.push(Cause::invalid(NOWHERE, &json!(""), &words));
        }
        return;
    }
    alternatives(schema, value, live, at, out);
    match value {
        Value::String(text) => string(schema, text, at, out),
        Value::Number(_) => number(schema, value, at, out),
        Value::Array(items) => list(schema, items, live, at, out),
        Value::Object(map) => object(schema, map, live, at, out),
        _ => {}
    }
    if let Some(allowed) = schema.get("enum").and_then(Value::as_array)
        && !allowed.contains(value)
    {
        let words: Vec<String> = allowed.iter().map(plain).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        out.push(Cause::unsupported(at, value, &words));
    }
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn below(at: &str, name: &str) -> String {
    if at.is_empty() {
        return name.to_owned();
    }
    format!("{at}.{name}")
}

fn invalid(at: &str, value: &Value, rule: &str) -> Cause {
    Cause::invalid(at, value, &format!("{at} in body {rule}"))
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn mistyped(schema: &Value, value: &Value, at: &str) -> Option<Cause> {
    let found = type_of(value);
    let wanted = if schema["x-kubernetes-int-or-string"] == true {
        "integer,string"
    } else {
        schema["type"].as_str()?
    };
    let whole = value.as_f64().is_some_and(|it| it.fract() == 0.0);
    let fits = wanted.split(',').any(|it| it == found)
        || (wanted == "number" && found == "integer")
        || (wanted.starts_with("integer") && found == "number" && whole)
        || (found == "null" && schema["nullable"] == true);
    let words = format!("{at} in body must be of type {wanted}: {found:?}");
    (!fits).then(|| Cause::mistyped(at, found, &words))
}

/// `allOf`, `anyOf`, `oneOf` and `not`.
fn alternatives(
    schema: &Value,
    value: &Value,
    live: Option<&Value>,
    at: &str,
    out: &mut Found<'_>,
) {
    let parts = |field: &str| schema.get(field).and_then(Value::as_array);
    let patterns = out.patterns;
    let causes = |schema: &Value| {
        let mut found = Found::new(patterns);
        check(schema, value, live, at, &mut found);
        found.causes
    };
    let said = |words: &str| Cause::invalid(NOWHERE, &json!(""), &format!("{at:?} {words}"));
    if let Some(all) = parts("anyOf") {
        let mut found: Vec<_> = all.iter().map(causes).collect();
        if !found.iter().any(Vec::is_empty) {
            out.push(said("must validate at least one schema (anyOf)"));
            // The one that fits best says why.
            found.sort_by_key(Vec::len);
            out.extend(found.into_iter().next().unwrap_or_default());
        }
    }
    if let Some(all) = parts("oneOf") {
        let mut found: Vec<_> = all.iter().map(causes).collect();
        let fitting = found.iter().filter(|it| it.is_empty()).count();
        let words = "must validate one and only one schema (oneOf).";
        if fitting == 0 {
            out.push(said(&format!("{words} Found none valid")));
            found.sort_by_key(Vec::len);
            out.extend(found.into_iter().next().unwrap_or_default());
        } else if fitting > 1 {
            out.push(said(&format!("{words} Found {fitting} valid alternatives")));
        }
    }
    if let Some(all) = parts("allOf") {
        let found: Vec<_> = all.iter().map(causes).collect();
        let fitting = found.iter().filter(|it| it.is_empty()).count();
        let all_wrong = if fitting == 0 { ". None validated" } else { "" };
        if fitting < all.len() {
            out.extend(found.into_iter().flatten());
            out.push(said(&format!(
                "must validate all the schemas (allOf){all_wrong}"
            )));
        }
    }
    if let Some(not) = schema.get("not")
        && causes(not).is_empty()
    {
        out.push(said("must not validate the schema (not)"));
    }
}

fn limit(schema: &Value, field: &str) -> Option<u64> {
    schema.get(field).and_then(Value::as_u64)
}

/// The first rule that a text breaks.
fn string(schema: &Value, text: &str, at: &str, out: &mut Found<'_>) {
    let length = text.chars().count() as u64;
    if let Some(most) = limit(schema, "maxLength").filter(|most| length > *most) {
        out.push(Cause::too_long(
            at,
            usize::try_from(most).unwrap_or(usize::MAX),
        ));
    } else if let Some(least) = limit(schema, "minLength").filter(|least| length < *least) {
        let rule = format!("should be at least {least} chars long");
        out.push(invalid(at, &json!(text), &rule));
    } else if let Some(pattern) = schema.get("pattern").and_then(Value::as_str) {
        let read = out.patterns.get(pattern).and_then(Option::as_ref);
        if !read.is_some_and(|it| it.is_match(text)) {
            let rule = format!("should match '{pattern}'");
            out.push(invalid(at, &json!(text), &rule));
        }
    }
}

fn number(schema: &Value, value: &Value, at: &str, out: &mut Found<'_>) {
    let Some(found) = value.as_f64() else {
        return;
    };
    let bound = |field: &str| {
        let bound = schema.get(field)?;
        Some((bound, bound.as_f64()?))
    };
    if let Some((text, most)) = bound("maximum") {
        let strict = schema["exclusiveMaximum"] == true;
        if found > most || (strict && found >= most) {
            let or = if strict { "" } else { " or equal to" };
            let rule = format!("should be less than{or} {text}");
            out.push(invalid(at, value, &rule));
        }
    }
    if let Some((text, least)) = bound("minimum") {
        let strict = schema["exclusiveMinimum"] == true;
        if found < least || (strict && found <= least) {
            let or = if strict { "" } else { " or equal to" };
            let rule = format!("should be greater than{or} {text}");
            out.push(invalid(at, value, &rule));
        }
    }
    if let Some((text, factor)) = bound("multipleOf")
        && (found / factor).fract() != 0.0
    {
        out.push(invalid(
            at,
            value,
            &format!("should be a multiple of {text}"),
        ));
    }
}

fn list(schema: &Value, items: &[Value], live: Option<&Value>, at: &str, out: &mut Found<'_>) {
    if let Some(item) = schema.get("items") {
        let keys = schema.get("x-kubernetes-list-map-keys");
        let keys = keys.and_then(Value::as_array);
        for (index, value) in items.iter().enumerate() {
            // Only items with keys are the same as before.
            let same = |other: &&Value| {
                keys.is_some_and(|keys| {
                    keys.iter()
                        .all(|key| key_of(other, key) == key_of(value, key))
                })
            };
            let before = live.and_then(Value::as_array);
            let before = before.and_then(|all| all.iter().find(same));
            check(item, value, before, &format!("{at}[{index}]"), out);
        }
    }
    let length = items.len() as u64;
    if let Some(least) = limit(schema, "minItems").filter(|least| length < *least) {
        let rule = format!("should have at least {least} items");
        out.push(invalid(at, &json!(length), &rule));
    }
    if let Some(most) = limit(schema, "maxItems").filter(|most| length > *most) {
        out.push(Cause::too_many(at, items.len(), most));
    }
}

fn key_of<'a>(item: &'a Value, key: &Value) -> Option<&'a Value> {
    item.get(key.as_str()?)
}

fn object(
    schema: &Value,
    map: &Map<String, Value>,
    live: Option<&Value>,
    at: &str,
    out: &mut Found<'_>,
) {
    let length = map.len() as u64;
    if let Some(least) = limit(schema, "minProperties").filter(|least| length < *least) {
        let rule = format!("should have at least {least} properties");
        out.push(invalid(at, &json!(length), &rule));
    }
    if let Some(most) = limit(schema, "maxProperties").filter(|most| length > *most) {
        out.push(Cause::too_many(at, map.len(), most));
    }
    let other = schema
        .get("additionalProperties")
        .filter(|it| it.is_object());
    for (name, value) in map {
        let property = schema.get("properties").and_then(|it| it.get(name));
        if let Some(schema) = property.or(other) {
            let before = live.and_then(|it| it.get(name));
            check(schema, value, before, &below(at, name), out);
        }
    }
    let required = schema.get("required").and_then(Value::as_array);
    for name in required.into_iter().flatten().filter_map(Value::as_str) {
        if !map.contains_key(name) {
            out.push(Cause::required(&below(at, name), ""));
        }
    }
}

/// Lists that are sets or maps have each item once.
fn keyed(schema: &Value, value: &Value, at: &str, out: &mut Vec<Cause>) {
    match value {
        Value::Array(items) => {
            let kind = schema["x-kubernetes-list-type"].as_str();
            let keys = schema["x-kubernetes-list-map-keys"].as_array();
            let mut seen: Vec<Value> = Vec::new();
            for (index, item) in items.iter().enumerate() {
                let at = format!("{at}[{index}]");
                let name = match (kind, keys) {
                    (Some("set"), _) => item.clone(),
                    (Some("map"), Some(keys)) => {
                        let keys = keys.iter().filter_map(Value::as_str);
                        let keys =
                            keys.filter_map(|key| Some((key.to_owned(), item.get(key)?.clone())));
                        Value::Object(keys.collect())
                    }
                    _ => Value::Null,
                };
                if !name.is_null() && seen.contains(&name) {
                    out.push(Cause::duplicate(&at, &name));
                }
                seen.push(name);
                keyed(&schema["items"], item, &at, out);
            }
        }
        Value::Object(map) => {
            for (name, value) in map {
                let property = schema.get("properties").and_then(|it| it.get(name));
                let other = schema.get("additionalProperties");
                if let Some(schema) = property.or(other) {
                    keyed(schema, value, &below(at, name), out);
                }
            }
        }
        _ => {}
    }
}
