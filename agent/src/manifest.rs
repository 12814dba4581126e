//! From the object of a bundle to the body that is applied.
//!
//! Owns: the identity of an object in this cluster (cluster-scoped objects have no namespace, others
//! get the default one), what is never sent (status, what the server fills in), what the server
//! reads differently than people mean (`stringData`, ports without protocol), and our marks. Keeps
//! objects as JSON values: a round trip through typed structs loses what a type does not know.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};
use tidegate_model::{
    ids::AppUid,
    names::{ANNOTATION_APP, LABEL_APP_ID},
    object::ObjectId,
};

/// Whether objects of a kind live in namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// They do not.
    Cluster,
    /// They do.
    Namespaced,
}

/// Whose objects they are.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'a> {
    /// The application.
    pub app: AppUid,
    /// `project/name`.
    pub app_name: &'a str,
    /// Namespace for namespaced objects that name none.
    pub namespace: &'a str,
}

/// The identity of an object in this cluster, so that it has one name however it is written.
#[must_use]
pub fn canonical_id(id: &ObjectId, scope: Scope, default_namespace: &str) -> ObjectId {
    let namespace = match scope {
        Scope::Cluster => "",
        Scope::Namespaced if id.namespace.is_empty() => default_namespace,
        Scope::Namespaced => &id.namespace,
    };
    ObjectId {
        namespace: namespace.to_owned(),
        ..id.clone()
    }
}

/// The body to apply for `object` under its canonical `id`.
pub fn body(object: &Value, id: &ObjectId, owner: &Owner<'_>) -> Value {
    let mut body = object.clone();
    if let Some(map) = body.as_object_mut() {
        map.remove("status");
        let metadata = map.get("metadata").cloned().unwrap_or_default();
        map.insert("metadata".to_owned(), metadata_of(&metadata, id, owner));
    }
    if id.group.is_empty() && id.kind == "Secret" {
        fold_string_data(&mut body);
    }
    for (pointer, list) in PORTS {
        for holder in body.pointer_mut(pointer).into_iter().flat_map(items) {
            holder
                .get_mut(list)
                .into_iter()
                .flat_map(items)
                .for_each(default_protocol);
        }
    }
    if id.group.is_empty() && id.kind == "Service" {
        let ports = body.pointer_mut("/spec/ports");
        ports.into_iter().flat_map(items).for_each(default_protocol);
    }
    body
}

/// What users may say in metadata. The rest is the server's: applying it would claim it.
fn metadata_of(given: &Value, id: &ObjectId, owner: &Owner<'_>) -> Value {
    let mut metadata = Map::new();
    metadata.insert("name".to_owned(), json!(id.name));
    if !id.namespace.is_empty() {
        metadata.insert("namespace".to_owned(), json!(id.namespace));
    }
    let texts = |field: &str| -> Map<String, Value> {
        let map = given.get(field).and_then(Value::as_object).cloned();
        let given = map.unwrap_or_default().into_iter();
        given.filter(|(_, value)| !value.is_null()).collect()
    };
    let mut labels = texts("labels");
    labels.insert(LABEL_APP_ID.to_owned(), json!(owner.app.to_string()));
    metadata.insert("labels".to_owned(), labels.into());
    let mut annotations = texts("annotations");
    annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
    annotations.insert(ANNOTATION_APP.to_owned(), json!(owner.app_name));
    metadata.insert("annotations".to_owned(), annotations.into());
    for field in ["finalizers", "ownerReferences"] {
        if let Some(value) = given.get(field).filter(|value| !value.is_null()) {
            metadata.insert(field.to_owned(), value.clone());
        }
    }
    metadata.into()
}

/// Server-side apply keeps no record of `stringData`: a key that leaves it would stay for ever
/// (kubernetes #108008).
fn fold_string_data(body: &mut Value) {
    let Some(map) = body.as_object_mut() else {
        return;
    };
    let Some(Value::Object(texts)) = map.remove("stringData") else {
        return;
    };
    let data = map.entry("data").or_insert_with(|| json!({}));
    if data.is_null() {
        *data = json!({});
    }
    let Some(data) = data.as_object_mut() else {
        return;
    };
    for (key, text) in texts {
        if let Some(text) = text.as_str() {
            data.insert(key, STANDARD.encode(text).into());
        }
    }
}

/// Lists whose items hold `ports` with the protocol in their key (structured-merge-diff #130).
const PORTS: [(&str, &str); 6] = [
    ("/spec/containers", "ports"),
    ("/spec/initContainers", "ports"),
    ("/spec/template/spec/containers", "ports"),
    ("/spec/template/spec/initContainers", "ports"),
    ("/spec/jobTemplate/spec/template/spec/containers", "ports"),
    (
        "/spec/jobTemplate/spec/template/spec/initContainers",
        "ports",
    ),
];

fn items(value: &mut Value) -> std::slice::IterMut<'_, Value> {
    value
        .as_array_mut()
        .map_or_else(Default::default, |list| list.iter_mut())
}

fn default_protocol(port: &mut Value) {
    if let Some(port) = port.as_object_mut()
        && (port.contains_key("containerPort") || port.contains_key("port"))
    {
        port.entry("protocol").or_insert_with(|| json!("TCP"));
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn id(kind: &str) -> ObjectId {
        ObjectId {
            group: String::new(),
            kind: kind.to_owned(),
            namespace: "shop".to_owned(),
            name: "x".to_owned(),
        }
    }

    fn applied(object: &Value, id: &ObjectId) -> Value {
        let owner = Owner {
            app: AppUid(Uuid::from_u128(7)),
            app_name: "demo/web",
            namespace: "shop",
        };
        body(object, id, &owner)
    }

    #[test]
    fn the_servers_fields_are_not_sent_and_our_marks_are() {
        let object = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "status": {"x": 1},
            "metadata": {
                "name": "x", "creationTimestamp": null, "resourceVersion": "5", "uid": "u",
                "generation": 3, "managedFields": [], "finalizers": ["a/b"], "selfLink": "/",
                "labels": {"a": "b", "gone": null},
                "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"},
            },
            "data": {"k": "v"},
        });
        assert_eq!(
            applied(&object, &id("ConfigMap")),
            json!({
                "apiVersion": "v1", "kind": "ConfigMap", "data": {"k": "v"},
                "metadata": {
                    "name": "x", "namespace": "shop", "finalizers": ["a/b"],
                    "labels": {"a": "b", "tidegate.dev/app-id": "00000000-0000-0000-0000-000000000007"},
                    "annotations": {"tidegate.dev/app": "demo/web"},
                },
            })
        );
    }

    #[test]
    fn string_data_wins_over_data_and_is_sent_as_data() {
        let object = json!({"kind": "Secret", "metadata": {"name": "x"},
            "data": {"a": "b2xk", "b": "Yg=="}, "stringData": {"a": "new"}});
        let body = applied(&object, &id("Secret"));
        assert_eq!(body["data"], json!({"a": "bmV3", "b": "Yg=="}));
        assert!(body.get("stringData").is_none());
        // Another kind may have a field of that name.
        let other = applied(&json!({"stringData": {"a": "b"}}), &id("ConfigMap"));
        assert_eq!(other["stringData"], json!({"a": "b"}));
    }

    #[test]
    fn ports_get_the_protocol_that_their_key_needs() {
        let service = json!({"spec": {"ports": [{"port": 80}, {"port": 53, "protocol": "UDP"}]}});
        assert_eq!(
            applied(&service, &id("Service"))["spec"]["ports"],
            json!([{"port": 80, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}])
        );
        let workload = json!({"spec": {"template": {"spec": {"containers": [
            {"name": "c", "ports": [{"containerPort": 80}]}]}}}});
        assert_eq!(
            applied(&workload, &id("Deployment"))
                .pointer("/spec/template/spec/containers/0/ports/0"),
            Some(&json!({"containerPort": 80, "protocol": "TCP"}))
        );
    }

    #[test]
    fn an_object_has_one_name_however_its_namespace_is_written() {
        let mut bare = id("Namespace");
        assert_eq!(canonical_id(&bare, Scope::Cluster, "d").namespace, "");
        assert_eq!(
            canonical_id(&bare, Scope::Namespaced, "d").namespace,
            "shop"
        );
        bare.namespace.clear();
        assert_eq!(canonical_id(&bare, Scope::Namespaced, "d").namespace, "d");
    }
}
