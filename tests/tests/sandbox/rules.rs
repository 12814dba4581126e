//! Cases: values of custom resources against the rules of their definition.

use std::time::Duration;

use futures::future::BoxFuture;
use serde_json::{Value, json};
use tidegate_tests::harness::eventually;

use super::{
    lives::{define_as, gone},
    recorder::{APPLY, Case, JSON, MERGE, PATCH, Recorder},
};

pub(crate) const CASES: &[Case] = &[
    ("custom_values", custom_values),
    ("custom_ratchet", custom_ratchet),
];

fn ruled() -> Value {
    json!({"type": "object", "properties": {"spec": {"type": "object", "required": ["size"], "properties": {
        "size": {"type": "integer", "minimum": 1, "maximum": 5},
        "share": {"type": "number", "minimum": 0, "exclusiveMinimum": true, "maximum": 1, "exclusiveMaximum": true},
        "even": {"type": "integer", "multipleOf": 2},
        "name": {"type": "string", "minLength": 2, "maxLength": 4, "pattern": "^[a-z]+$"},
        "color": {"type": "string", "enum": ["red", "green"]},
        "level": {"type": "integer", "enum": [1, 2]},
        "tags": {"type": "array", "minItems": 1, "maxItems": 2, "x-kubernetes-list-type": "set", "items": {"type": "string"}},
        "parts": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["id"],
            "items": {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}, "count": {"type": "integer", "minimum": 0}}}},
        "map": {"type": "object", "minProperties": 1, "maxProperties": 2, "additionalProperties": {"type": "integer"}},
        "port": {"x-kubernetes-int-or-string": true},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": {"known": {"type": "string"}}},
        "maybe": {"type": "string", "nullable": true, "default": "given"},
        "never": {"type": "string", "default": "given"},
        "inner": {"type": "object", "default": {}, "properties": {"depth": {"type": "integer", "default": 7}}},
        "on": {"type": "boolean"},
        "any": {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}, "anyOf": [{"required": ["a"]}, {"required": ["b"]}]},
        "one": {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}, "oneOf": [{"required": ["a"]}, {"required": ["b"]}]},
        "not": {"type": "object", "properties": {"a": {"type": "string"}}, "not": {"required": ["a"]}},
    }}}})
}

fn scalars() -> Vec<Value> {
    vec![
        json!({}),
        json!({"size": 0}),
        json!({"size": 6}),
        json!({"size": "x"}),
        json!({"size": 1.5}),
        json!({"size": 2.0}),
        json!({"size": null}),
        json!({"size": 1, "share": 0}),
        json!({"size": 1, "share": 1}),
        json!({"size": 1, "share": 0.5}),
        json!({"size": 1, "even": 3}),
        json!({"size": 1, "name": "a"}),
        json!({"size": 1, "name": "abcde"}),
        json!({"size": 1, "name": "A1"}),
        json!({"size": 1, "color": "blue"}),
        json!({"size": 1, "level": 3}),
    ]
}

fn structures() -> Vec<Value> {
    vec![
        json!({"size": 1, "tags": []}),
        json!({"size": 1, "tags": ["a", "b", "c"]}),
        json!({"size": 1, "tags": ["a", "a"]}),
        json!({"size": 1, "tags": "a"}),
        json!({"size": 1, "tags": [1]}),
        json!({"size": 1, "parts": [{"id": "a", "count": -1}]}),
        json!({"size": 1, "parts": [{"id": "a"}, {"id": "a"}]}),
        json!({"size": 1, "parts": [{"count": 1}]}),
        json!({"size": 1, "map": {}}),
        json!({"size": 1, "map": {"a": 1, "b": 2, "c": 3}}),
        json!({"size": 1, "map": {"a": "x"}}),
        json!({"size": 1, "port": true}),
        json!({"size": 1, "port": "x"}),
        json!({"size": 1, "free": {"known": "x", "unknown": {"deep": 1}}}),
        json!({"size": 1, "free": {"known": 1}}),
        json!({"size": 1, "maybe": null, "never": null}),
        json!({"size": 1, "inner": {"depth": null}}),
        json!({"size": 1, "on": "true"}),
        json!({"size": 1, "any": {}}),
        json!({"size": 1, "one": {"a": "x", "b": "x"}}),
        json!({"size": 1, "one": {}}),
        json!({"size": 1, "not": {"a": "x"}}),
    ]
}

fn custom_values(r: &mut Recorder) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        let (definition, things) = define_as(r, "rules", &ruled()).await;
        let thing = |spec: Value| json!({"apiVersion": "rules.example/v1", "kind": "Thing", "metadata": {"name": "a"}, "spec": spec});
        let path = format!("{things}?dryRun=All&fieldManager=tester");
        for spec in scalars().into_iter().chain(structures()) {
            let name = spec.to_string();
            let (code, answer) = r.ask("POST", &path, JSON, &thing(spec)).await;
            let told = if code == 201 {
                answer["spec"].clone()
            } else {
                answer
            };
            r.note(&name, code, told);
        }
        let several = thing(json!({"size": 9, "name": "A", "color": "blue"}));
        let (code, answer) = r.ask("POST", &path, JSON, &several).await;
        // Told in the order of a Go map.
        r.note(
            "several",
            code,
            json!({"causes": answer["details"]["causes"]}),
        );
        let pruned = thing(json!({"size": 1, "unknown": 1}));
        let (code, answer) = r.ask("POST", &path, JSON, &pruned).await;
        r.note("pruned", code, answer["spec"].clone());
        let strict = format!("{path}&fieldValidation=Strict");
        r.step("unknown", "POST", &strict, JSON, pruned).await;
        let bad = thing(json!({"size": 9}));
        let one = format!("{things}/a?fieldManager=tester");
        r.step("applied", "PATCH", &one, APPLY, bad).await;
        r.ask("DELETE", &definition, JSON, &Value::Null).await;
        r.until("the kind goes", &definition, gone).await;
    })
}

/// What was there before its rule is let be as long as it does not change.
fn custom_ratchet(r: &mut Recorder) -> BoxFuture<'_, ()> {
    Box::pin(async move {
        let free = json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {
            "size": {"type": "integer"}, "name": {"type": "string"}}}}});
        let (definition, things) = define_as(r, "ratchet", &free).await;
        let bare = json!({"metadata": {"name": "a"}, "spec": {}});
        let (code, answer) = r.ask("POST", &things, JSON, &bare).await;
        r.note("without a kind", code, answer["reason"].clone());
        let thing = json!({"apiVersion": "ratchet.example/v1", "kind": "Thing", "metadata": {"name": "a"}, "spec": {"size": 9, "name": "a"}});
        let (code, answer) = r.ask("POST", &things, JSON, &thing).await;
        assert_eq!(code, 201, "{answer}");
        let rule = json!([{"op": "add", "path": "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/size/maximum", "value": 5}]);
        let (code, answer) = r.ask("PATCH", &definition, PATCH, &rule).await;
        assert_eq!(code, 200, "{answer}");
        let one = format!("{things}/a");
        let worse = json!({"spec": {"size": 10}});
        // A real server takes its time to serve the rule.
        let dry = format!("{one}?dryRun=All");
        let probe = || async {
            match r.ask("PATCH", &dry, MERGE, &worse).await {
                (422, _) => Ok(()),
                (code, answer) => Err(format!("{code} {answer}")),
            }
        };
        eventually("the rule holds", Duration::from_secs(60), probe)
            .await
            .unwrap();
        let (code, answer) = r
            .ask("PATCH", &one, MERGE, &json!({"spec": {"name": "b"}}))
            .await;
        r.note("beside it", code, answer["spec"].clone());
        r.step("worse", "PATCH", &one, MERGE, worse).await;
        let (code, answer) = r
            .ask("PATCH", &one, MERGE, &json!({"spec": {"size": 5}}))
            .await;
        r.note("better", code, answer["spec"].clone());
        r.ask("DELETE", &definition, JSON, &Value::Null).await;
        r.until("the kind goes", &definition, gone).await;
    })
}
