//! Secret values kept out of what people are shown.
//!
//! Pure. Each value of a Secret becomes a mark that tells only whether two values are the same. The
//! key of the marks is random and lives as long as one answer, so nobody can try out guesses against
//! a mark, and marks say nothing about the length of a value (facts/reliability-security.md, 47).

use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// Fields of a Secret that hold values. Annotations are among them: `kubectl apply` keeps a copy of
/// the whole object in one.
const VALUES: [&str; 3] = ["/data", "/stringData", "/metadata/annotations"];

/// Makes the marks of one answer.
#[derive(Debug)]
pub struct Mask {
    key: [u8; 32],
}

impl Mask {
    /// Marks under this key, which must be random and used for one answer.
    pub fn new(key: [u8; 32]) -> Self {
        Self { key }
    }

    /// The object without secret values; anything but a Secret stays as it is.
    pub fn hide(&self, mut object: Value) -> Value {
        let is = |field: &str, word: &str| object.get(field).and_then(Value::as_str) == Some(word);
        if !(is("apiVersion", "v1") && is("kind", "Secret")) {
            return object;
        }
        for field in VALUES {
            match object.pointer_mut(field) {
                Some(Value::Object(values)) => {
                    for value in values.values_mut() {
                        *value = self.mark(value);
                    }
                }
                Some(Value::Null) | None => {}
                Some(other) => *other = self.mark(other),
            }
        }
        object
    }

    fn mark(&self, value: &Value) -> Value {
        let mut hash = Sha256::new();
        hash.update(self.key);
        hash.update(value.to_string());
        let digest = hash.finalize();
        Value::String(format!("masked:{}", hex::encode(&digest[..4])))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_of_a_secret_become_marks_that_tell_the_same_from_another() {
        let secret = |value: &str| {
            json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
                "metadata": {"name": "s", "annotations": {"last": value}},
                "data": {"a": value, "b": "c2FtZQ=="}, "stringData": {"c": value}})
        };
        let mask = Mask::new([1; 32]);
        let (one, two) = (mask.hide(secret("czNjcmV0")), mask.hide(secret("b3RoZXI=")));
        for hidden in [&one, &two] {
            let text = hidden.to_string();
            for value in ["czNjcmV0", "b3RoZXI=", "c2FtZQ=="] {
                assert!(!text.contains(value), "{text}");
            }
        }
        for field in ["/data/a", "/stringData/c", "/metadata/annotations/last"] {
            assert_ne!(one.pointer(field), two.pointer(field), "{field}");
            assert!(
                one.pointer(field)
                    .unwrap()
                    .as_str()
                    .unwrap()
                    .starts_with("masked:")
            );
        }
        assert_eq!(one["data"]["b"], two["data"]["b"]);
        assert_eq!(
            (&one["metadata"]["name"], &one["type"]),
            (&json!("s"), &json!("Opaque"))
        );
        // Another answer, another mark: marks of two answers say nothing together.
        assert_ne!(
            Mask::new([2; 32]).hide(secret("czNjcmV0"))["data"]["a"],
            one["data"]["a"]
        );
    }

    #[test]
    fn whatever_stands_where_values_belong_is_masked_and_other_kinds_are_not() {
        let mask = Mask::new([1; 32]);
        let odd = json!({"apiVersion": "v1", "kind": "Secret", "data": "s3cret"});
        assert!(!mask.hide(odd).to_string().contains("s3cret"));
        let config = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "b"}});
        assert_eq!(mask.hide(config.clone()), config);
    }
}
