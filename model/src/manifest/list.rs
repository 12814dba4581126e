//! `kind: List` of the core group: a wrapper that `kubectl` writes and the server has no kind for.
//!
//! Never touches typed lists (`ConfigMapList`): those are nothing a person puts into Git.

use serde_json::Value;

use super::{Document, Error, Lines, Problem};

/// Pushes `document`, or the items of the list that it is, onto `out`. An item that is a list
/// again is expanded too: depth was limited when the text was read.
pub(super) fn expand(
    mut document: Document,
    file: &str,
    out: &mut Vec<Document>,
) -> Result<(), Error> {
    if !is_list(&document.value) {
        out.push(document);
        return Ok(());
    }
    let wrong = |line, what| Error::new(file, line, 0, Problem::BadList(what));
    let items = document.value.get_mut("items").map(Value::take);
    let Some(Value::Array(items)) = items else {
        let line = document.line_of("/items");
        let what = "the v1 List has no list of items; add items, or remove the document";
        return Err(wrong(line, what));
    };
    let lines = document.lines.take_items("items");
    for (value, lines) in items.into_iter().zip(lines) {
        if !value.is_object() {
            let what = "an item of the v1 List is not an object; correct or remove it";
            return Err(wrong(lines.line(), what));
        }
        expand(item(value, lines), file, out)?;
    }
    Ok(())
}

fn item(value: Value, lines: Lines) -> Document {
    Document {
        value,
        index: 0,
        line: lines.line(),
        lines,
    }
}

fn is_list(value: &Value) -> bool {
    let field = |name| value.get(name).and_then(Value::as_str);
    field("apiVersion") == Some("v1") && field("kind") == Some("List")
}
