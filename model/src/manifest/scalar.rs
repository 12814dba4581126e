//! What a scalar means: the resolution rules of sigs.k8s.io/yaml (YAML 1.1 booleans, octal with a
//! leading zero, underscores in numbers), which every Kubernetes tool shares.
//!
//! No YAML library of Rust resolves scalars so, and a value that is read differently here than by
//! `kubectl` is drift that never ends. Checked against the real `kubectl` by a test. Never sees
//! where a scalar stands.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Number, Value};

use super::Problem;

/// A scalar as the parser hands it over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scalar<'a> {
    pub(super) text: &'a str,
    /// Without quotes, and no block scalar.
    pub(super) plain: bool,
    /// Full tag, for example `tag:yaml.org,2002:int`, or `!`.
    pub(super) tag: Option<&'a str>,
}

enum Resolved {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text,
    NotFinite,
    IntegerTooLarge,
}

pub(super) const CORE: &str = "tag:yaml.org,2002:";

/// Integers up to here are exact as IEEE doubles.
const EXACT: i64 = 1 << 53;

/// The JSON value of a scalar.
pub(super) fn value(scalar: Scalar<'_>) -> Result<Value, Problem> {
    let text = || scalar.text.to_owned();
    Ok(match resolve(scalar)? {
        Resolved::Null => Value::Null,
        Resolved::Bool(it) => Value::Bool(it),
        Resolved::Int(it) => Value::from(it),
        Resolved::Float(it) => float(it),
        Resolved::Text if is_binary(scalar) => Value::String(decode(scalar.text)?),
        Resolved::Text => Value::String(text()),
        Resolved::NotFinite => return Err(Problem::NotFinite { text: text() }),
        Resolved::IntegerTooLarge => return Err(Problem::IntegerTooLarge { text: text() }),
    })
}

/// The text of a scalar that is a key: JSON has no other keys.
pub(super) fn key(scalar: Scalar<'_>) -> Result<String, Problem> {
    match resolve(scalar)? {
        Resolved::Float(it) if !prints_as(it, scalar.text) => {
            let text = scalar.text.to_owned();
            Err(Problem::RewrittenKey { text })
        }
        Resolved::Float(_) => Ok(scalar.text.to_owned()),
        _ => key_of(&value(scalar)?),
    }
}

/// The text of a value that an alias puts in the place of a key.
pub(super) fn key_of(value: &Value) -> Result<String, Problem> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Bool(it) => Ok(it.to_string()),
        Value::Number(number) if !number.is_f64() => Ok(number.to_string()),
        Value::Number(number) => {
            let text = number.to_string();
            Err(Problem::RewrittenKey { text })
        }
        Value::Null => Err(Problem::BadKey { what: "null" }),
        Value::Array(_) => Err(Problem::BadKey { what: "a list" }),
        Value::Object(_) => Err(Problem::BadKey { what: "a map" }),
    }
}

/// A float as JSON: an integer where it has no fraction, so that `1e3` and `1000` are equal.
pub(super) fn float(it: f64) -> Value {
    const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;
    if it.fract() == 0.0 && it.abs() < TWO_TO_63 {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a whole number below 2^63 converts exactly"
        )]
        return Value::from(it as i64);
    }
    Number::from_f64(it).map_or(Value::Null, Value::Number)
}

/// Whether Kubernetes, which prints a float key with the precision of 32 bits, prints `text`.
fn prints_as(it: f64, text: &str) -> bool {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the loss is what is looked for"
    )]
    let short = it as f32;
    let plain_range = 1e-4..1e6;
    plain_range.contains(&short.abs()) && short.to_string() == text
}

fn resolve(scalar: Scalar<'_>) -> Result<Resolved, Problem> {
    let Some(tag) = scalar.tag else {
        return Ok(if scalar.plain {
            guess(scalar.text)
        } else {
            Resolved::Text
        });
    };
    let (Some(kind), false) = (tag.strip_prefix(CORE), tag == "!") else {
        return if tag == "!" {
            Ok(Resolved::Text)
        } else {
            Err(unknown(tag))
        };
    };
    if kind == "str" || kind == "binary" {
        return Ok(Resolved::Text);
    }
    let guessed = guess(scalar.text);
    #[expect(
        clippy::cast_precision_loss,
        reason = "the tag asks for a float, which is what Kubernetes makes of it"
    )]
    let fits = match (kind, guessed) {
        ("null", Resolved::Null) => Some(Resolved::Null),
        ("bool", Resolved::Bool(it)) => Some(Resolved::Bool(it)),
        ("float", Resolved::Int(it)) => Some(Resolved::Float(it as f64)),
        ("float", Resolved::IntegerTooLarge) => scalar.text.parse().ok().map(Resolved::Float),
        ("int", it @ (Resolved::Int(_) | Resolved::IntegerTooLarge))
        | ("float", it @ (Resolved::Float(_) | Resolved::NotFinite)) => Some(it),
        ("null" | "bool" | "int" | "float", _) => None,
        _ => return Err(unknown(tag)),
    };
    fits.ok_or_else(|| Problem::TagMismatch {
        tag: short(tag),
        text: scalar.text.to_owned(),
    })
}

pub(super) fn unknown(tag: &str) -> Problem {
    Problem::UnknownTag { tag: short(tag) }
}

fn short(tag: &str) -> String {
    match tag.strip_prefix(CORE) {
        Some(kind) => format!("!!{kind}"),
        None => tag.to_owned(),
    }
}

fn is_binary(scalar: Scalar<'_>) -> bool {
    scalar.tag.and_then(|tag| tag.strip_prefix(CORE)) == Some("binary")
}

fn decode(text: &str) -> Result<String, Problem> {
    let joined: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
    let bytes = STANDARD.decode(joined).map_err(|_| Problem::BadBinary)?;
    String::from_utf8(bytes).map_err(|_| Problem::BadBinary)
}

/// What plain text means.
fn guess(text: &str) -> Resolved {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Resolved::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Resolved::Bool(true)
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Resolved::Bool(false)
        }
        ".nan" | ".NaN" | ".NAN" | ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF"
        | "-.inf" | "-.Inf" | "-.INF" => Resolved::NotFinite,
        _ => number(text).unwrap_or(Resolved::Text),
    }
}

fn number(text: &str) -> Option<Resolved> {
    let first = text.bytes().next()?;
    if first == b'.' {
        return separators_between_digits(text)
            .then(|| floating(&text.replace('_', "")))
            .flatten();
    }
    if !first.is_ascii_digit() && first != b'+' && first != b'-' {
        return None;
    }
    let plain = text.replace('_', "");
    integer(&plain)
        .or_else(|| floating(&plain))
        .or_else(|| signed_binary(&plain))
}

/// Digits with the prefixes of Go: `0x`, `0o`, `0b`, and a zero alone for octal.
fn integer(plain: &str) -> Option<Resolved> {
    let negative = plain.starts_with('-');
    let digits = plain.strip_prefix(['+', '-']).unwrap_or(plain);
    let (radix, digits, prefixed) = match digits.as_bytes() {
        [b'0', b'x' | b'X', _, ..] => (16, &digits[2..], true),
        [b'0', b'o' | b'O', _, ..] => (8, &digits[2..], true),
        [b'0', b'b' | b'B', _, ..] => (2, &digits[2..], true),
        [b'0', _, ..] => (8, &digits[1..], false),
        [_, ..] => (10, digits, false),
        [] => return None,
    };
    if !digits.chars().all(|digit| digit.is_digit(radix)) {
        return None;
    }
    let magnitude = i128::from_str_radix(digits, radix).ok();
    let signed = magnitude.map(|it| if negative { -it } else { it });
    if let Some(it) = signed.and_then(|it| i64::try_from(it).ok()) {
        return Some(Resolved::Int(it));
    }
    // A prefixed number that no 64 bits hold, such as a hash, is text to `kubectl`; one without
    // prefix is a float to it, and loses digits.
    let unsigned = magnitude.and_then(|it| u64::try_from(it).ok());
    (!prefixed || (!negative && unsigned.is_some())).then_some(Resolved::IntegerTooLarge)
}

fn floating(plain: &str) -> Option<Resolved> {
    let unsigned = plain.strip_prefix(['+', '-']).unwrap_or(plain);
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => (&unsigned[..at], Some(&unsigned[at + 1..])),
        None => (unsigned, None),
    };
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent_fits = exponent.is_none_or(|it| {
        let it = it.strip_prefix(['+', '-']).unwrap_or(it);
        !it.is_empty() && digits(it)
    });
    if !exponent_fits || !digits(whole) || !digits(fraction) || (whole.len() + fraction.len() == 0)
    {
        return None;
    }
    if !mantissa.contains('.') && exponent.is_none() {
        // Digits that are no octal number in spite of their leading zero, or too many of them.
        let exact = plain.parse().ok().filter(|it: &i64| it.abs() <= EXACT);
        return Some(exact.map_or(Resolved::IntegerTooLarge, Resolved::Int));
    }
    let it: f64 = plain.parse().ok()?;
    it.is_finite().then_some(Resolved::Float(it))
}

/// `0b-1`: the one place where a sign may follow a prefix.
fn signed_binary(plain: &str) -> Option<Resolved> {
    let digits = plain.strip_prefix("0b")?;
    let it = i64::from_str_radix(digits, 2).ok()?;
    Some(Resolved::Int(it))
}

fn separators_between_digits(text: &str) -> bool {
    let bytes = text.as_bytes();
    let digit = |at: Option<usize>| {
        at.and_then(|at| bytes.get(at))
            .is_some_and(u8::is_ascii_digit)
    };
    bytes
        .iter()
        .enumerate()
        .all(|(at, byte)| *byte != b'_' || (digit(at.checked_sub(1)) && digit(at.checked_add(1))))
}
