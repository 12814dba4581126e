//! Canonical JSON: one byte string per value.
//!
//! Keys sorted by their UTF-8 bytes, no white space, integers as plain decimal digits. RFC 8785
//! is not used: it prints integers as IEEE doubles and loses them past 2^53. Never reads input:
//! the manifest reader has already refused numbers that JSON in Kubernetes cannot hold.

use serde_json::Value;

/// The canonical bytes of `value`.
pub fn to_vec(value: &Value) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    write(value, &mut out);
    out
}

fn write(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => out.extend_from_slice(number.to_string().as_bytes()),
        Value::String(text) => write_string(text, out),
        Value::Array(items) => {
            out.push(b'[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write(item, out);
            }
            out.push(b']');
        }
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_unstable_by(|a, b| a.0.as_bytes().cmp(b.0.as_bytes()));
            out.push(b'{');
            for (i, (key, item)) in entries.into_iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write_string(key, out);
                out.push(b':');
                write(item, out);
            }
            out.push(b'}');
        }
    }
}

/// Escapes what JSON must escape and nothing else, so that text has exactly one spelling.
fn write_string(text: &str, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..=0x1f => {
                out.extend_from_slice(b"\\u00");
                out.push(HEX[usize::from(byte >> 4)]);
                out.push(HEX[usize::from(byte & 15)]);
            }
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_are_sorted_by_bytes_and_integers_stay_exact() {
        let value = json!({"b": 9_007_199_254_740_993_u64, "a": [true, null, -1], "é": "x\u{1}\n", "B": 1.5});
        assert_eq!(
            String::from_utf8(to_vec(&value)).unwrap(),
            "{\"B\":1.5,\"a\":[true,null,-1],\"b\":9007199254740993,\"é\":\"x\\u0001\\n\"}"
        );
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_as_the_same_value(text in ".*", n in any::<i64>(), m in any::<u64>()) {
            let value = json!({text.clone(): [n, m, text]});
            let back: Value = serde_json::from_slice(&to_vec(&value)).unwrap();
            prop_assert_eq!(back, value);
        }
    }
}
