//! Objects as text that every reader of manifests reads back as they are.
//!
//! Never guesses what a reader does: the hub's own reader of manifests, which reads as kubectl does,
//! must get the same object from the text.

use serde_json::Value;
use tidegate_model::manifest::{self, Limits};

use crate::error::Error;

/// The object as a YAML document. Where YAML of today and of YAML 1.1 differ, as over `on` or `1_0`,
/// it is written as JSON, which is YAML and leaves no choice.
pub fn yaml(object: &Value) -> Result<String, Error> {
    let failed = |error: &dyn std::error::Error| Error::Print(error.to_string());
    let text = serde_yaml::to_string(object).map_err(|error| failed(&error))?;
    let read = manifest::read_documents(&text, "output", &Limits::default());
    if matches!(read.as_deref(), Ok([document]) if document.value == *object) {
        return Ok(text);
    }
    let text = serde_json::to_string_pretty(object).map_err(|error| failed(&error))?;
    Ok(format!("{text}\n"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn whatever_an_object_holds_is_read_back_as_it_is() {
        for data in [
            json!("plain"),
            json!("on"),
            json!("No"),
            json!("y"),
            json!("1_000"),
            json!("0o17"),
            json!("017"),
            json!("1:30"),
            json!("2020-01-01"),
            json!("~"),
            json!(""),
            json!("- a\n# b\n"),
            json!(" leading"),
            json!(9_007_199_254_740_993_u64),
            json!(null),
            json!({"on": "off"}),
        ] {
            let object = json!({"kind": "ConfigMap", "data": {"x": data}});
            let text = yaml(&object).unwrap();
            let read = manifest::read_documents(&text, "t", &Limits::default()).unwrap();
            assert_eq!(read[0].value, object, "{text}");
        }
    }

    #[test]
    fn what_is_plain_stays_readable() {
        let object = json!({"kind": "ConfigMap", "data": {"x": "y z"}});
        assert_eq!(yaml(&object).unwrap(), "data:\n  x: y z\nkind: ConfigMap\n");
    }
}
