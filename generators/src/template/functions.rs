//! The functions of templates besides Go's own: a part of sprig with sprig's order of arguments,
//! `normalize` and `slugify`, and the guards.
//!
//! Every function gives the same answer each time: no clock, no chance, no network. Arguments of a
//! wrong type are errors, never converted.

use std::{fmt::Write as _, sync::Arc};

use gotmpl::{FuncMap, TemplateError, Value};

use super::{OUTPUT_BYTES, Steps, exec, harden, text};

type Outcome = Result<Value, TemplateError>;
type Function = fn(&[Value]) -> Outcome;

/// Items of a list that a function may make.
const ITEMS: usize = 10_000;

/// All functions by name, spending from `steps`.
pub(super) fn all(steps: &Steps) -> FuncMap {
    let mut functions = FuncMap::new();
    let table: [(&str, Function); 19] = [
        ("contains", |args| {
            let [part, whole] = texts("contains", args)?;
            Ok(Value::Bool(whole.contains(part)))
        }),
        ("default", default),
        ("dig", dig),
        ("hasKey", has_key),
        ("hasPrefix", |args| {
            let [prefix, whole] = texts("hasPrefix", args)?;
            Ok(Value::Bool(whole.starts_with(prefix)))
        }),
        ("hasSuffix", |args| {
            let [suffix, whole] = texts("hasSuffix", args)?;
            Ok(Value::Bool(whole.ends_with(suffix)))
        }),
        ("index", index),
        ("join", join),
        ("lower", |args| {
            let [it] = texts("lower", args)?;
            Ok(string(it.to_lowercase()))
        }),
        ("normalize", |args| {
            let [it] = texts("normalize", args)?;
            Ok(string(text::normalize(it)))
        }),
        ("quote", quote),
        ("replace", replace),
        ("slugify", slugify),
        ("splitList", split_list),
        ("trim", |args| {
            let [it] = texts("trim", args)?;
            Ok(string(it.trim()))
        }),
        ("trimPrefix", |args| {
            let [prefix, it] = texts("trimPrefix", args)?;
            Ok(string(it.strip_prefix(prefix).unwrap_or(it)))
        }),
        ("trimSuffix", |args| {
            let [suffix, it] = texts("trimSuffix", args)?;
            Ok(string(it.strip_suffix(suffix).unwrap_or(it)))
        }),
        ("upper", |args| {
            let [it] = texts("upper", args)?;
            Ok(string(it.to_uppercase()))
        }),
        (harden::FORMATTED, formatted),
    ];
    for (name, function) in table {
        functions.insert(name.to_owned(), Arc::new(function));
    }
    guards(&mut functions, steps);
    functions
}

fn guards(functions: &mut FuncMap, steps: &Steps) {
    let table: [(&str, Function); 4] = [
        (harden::PRINTED, printed),
        (harden::ARGUMENT, argument),
        (harden::RESULT, result),
        (harden::ENTERED, |_| Ok(string(""))),
    ];
    for (name, function) in table {
        let steps = steps.clone();
        let guard = move |args: &[Value]| {
            steps.take()?;
            function(args)
        };
        functions.insert(name.to_owned(), Arc::new(guard));
    }
}

fn string(text: impl AsRef<str>) -> Value {
    Value::String(Arc::from(text.as_ref()))
}

/// The one value that a guard looks at.
fn piped(args: &[Value]) -> Result<&Value, TemplateError> {
    args.last()
        .ok_or_else(|| exec("a guard was called without a value"))
}

fn printed(args: &[Value]) -> Outcome {
    let value = piped(args)?;
    refuse_null(value)?;
    Ok(match value {
        Value::Float(it) => string(go_float(*it)),
        value => value.clone(),
    })
}

fn argument(args: &[Value]) -> Outcome {
    let value = piped(args)?;
    refuse_null(value)?;
    refuse_long(value)?;
    Ok(value.clone())
}

fn result(args: &[Value]) -> Outcome {
    let value = piped(args)?;
    refuse_long(value)?;
    Ok(value.clone())
}

fn formatted(args: &[Value]) -> Outcome {
    match piped(args)? {
        Value::String(it) if it.contains("%!") => Err(exec(format!(
            "a verb of printf does not fit its argument: {}; correct the format",
            it.chars().take(120).collect::<String>()
        ))),
        value => Ok(value.clone()),
    }
}

/// Go prints `<no value>` or `<nil>`.
fn refuse_null(value: &Value) -> Result<(), TemplateError> {
    match value {
        Value::Nil => Err(exec(
            "the value is null; give it in the row, or write a default for it",
        )),
        Value::List(items) => items.iter().try_for_each(refuse_null),
        Value::Map(map) => map.values().try_for_each(refuse_null),
        Value::Function(_) => Err(exec("a function is no value; call it")),
        _ => Ok(()),
    }
}

fn refuse_long(value: &Value) -> Result<(), TemplateError> {
    let long = match value {
        Value::String(it) => it.len() > OUTPUT_BYTES,
        Value::List(_) | Value::Map(_) => size(value, OUTPUT_BYTES) > OUTPUT_BYTES,
        _ => false,
    };
    if long {
        let message = format!("a value has more than {OUTPUT_BYTES} bytes; use a part of it");
        return Err(exec(message));
    }
    Ok(())
}

/// About the bytes of the value's text; counts no further than `enough`.
fn size(value: &Value, enough: usize) -> usize {
    let sum = |mut children: Box<dyn Iterator<Item = (usize, &Value)> + '_>| {
        children
            .try_fold(1, |sum, (key, child)| {
                let sum = sum + key + 1 + size(child, enough);
                if sum > enough { Err(sum) } else { Ok(sum) }
            })
            .unwrap_or_else(|sum| sum)
    };
    match value {
        Value::String(it) => it.len(),
        Value::List(items) => sum(Box::new(items.iter().map(|it| (0, it)))),
        Value::Map(map) => sum(Box::new(map.iter().map(|(key, it)| (key.len(), it)))),
        _ => 8,
    }
}

/// Go's `%v` of a float: with an exponent from 1e21 and below 1e-4.
fn go_float(it: f64) -> String {
    let plain = it == 0.0 || (1e-4..1e21).contains(&it.abs());
    if plain || !it.is_finite() {
        return it.to_string();
    }
    let text = format!("{it:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, digits) = match exponent.strip_prefix('-') {
        Some(digits) => ('-', digits),
        None => ('+', exponent),
    };
    format!("{mantissa}e{sign}{digits:0>2}")
}

/// Exactly `N` arguments, all texts.
fn texts<'a, const N: usize>(name: &str, args: &'a [Value]) -> Result<[&'a str; N], TemplateError> {
    let texts: Result<Vec<_>, _> = args.iter().map(|arg| text_of(name, arg)).collect();
    let given = args.len();
    texts?
        .try_into()
        .map_err(|_| exec(format!("{name} takes {N} arguments, not {given}")))
}

fn text_of<'a>(name: &str, arg: &'a Value) -> Result<&'a str, TemplateError> {
    arg.as_str().ok_or_else(|| {
        let kind = arg.type_name();
        exec(format!(
            "{name} takes texts, not {kind}; quote it or use printf"
        ))
    })
}

/// Go's `index`, with a missing key as an error.
fn index(args: &[Value]) -> Outcome {
    let (first, keys) = args
        .split_first()
        .filter(|(_, keys)| !keys.is_empty())
        .ok_or_else(|| exec("index takes a list or map and at least one key"))?;
    let mut value = first.clone();
    for key in keys {
        value = match (&value, key) {
            (Value::Map(map), Value::String(key)) => {
                let missing = || TemplateError::MissingKey {
                    key: key.to_string(),
                };
                map.get(key).cloned().ok_or_else(missing)?
            }
            (Value::Nil, _) => return Err(exec("index of null; ask first with hasKey")),
            _ => value.index(key)?,
        };
    }
    Ok(value)
}

fn default(args: &[Value]) -> Outcome {
    match args {
        [_, value] if value.is_truthy() => Ok(value.clone()),
        [default] | [default, _] => Ok(default.clone()),
        _ => Err(exec("default takes a default and a value")),
    }
}

fn has_key(args: &[Value]) -> Outcome {
    match args {
        [Value::Map(map), Value::String(key)] => Ok(Value::Bool(map.contains_key(key))),
        _ => Err(exec("hasKey takes a map and a key, in this order")),
    }
}

/// `dig "a" "b" default map`.
fn dig(args: &[Value]) -> Outcome {
    let [keys @ .., default, map] = args else {
        return Err(exec("dig takes keys, a default and a map"));
    };
    let mut value = map;
    for key in keys {
        let key = text_of("dig", key)?;
        let Value::Map(map) = value else {
            let kind = value.type_name();
            return Err(exec(format!("dig: key {key:?} is looked for in a {kind}")));
        };
        match map.get(key) {
            Some(next) => value = next,
            None => return Ok(default.clone()),
        }
    }
    Ok(value.clone())
}

fn join(args: &[Value]) -> Outcome {
    let [separator, Value::List(items)] = args else {
        return Err(exec("join takes a separator and a list, in this order"));
    };
    let separator = text_of("join", separator)?;
    let mut texts = Vec::with_capacity(items.len());
    let mut bytes = 0;
    for item in items.iter() {
        refuse_null(item)?;
        refuse_long(item)?;
        let text = item.to_string();
        bytes += text.len() + separator.len();
        too_long(bytes)?;
        texts.push(text);
    }
    Ok(string(texts.join(separator)))
}

fn too_long(bytes: usize) -> Result<(), TemplateError> {
    if bytes > OUTPUT_BYTES {
        let message = format!("a text of more than {OUTPUT_BYTES} bytes would be made");
        return Err(exec(message));
    }
    Ok(())
}

fn replace(args: &[Value]) -> Outcome {
    let [old, new, it] = texts("replace", args)?;
    let matches = it.matches(old).count();
    too_long(it.len().saturating_add(matches.saturating_mul(new.len())))?;
    Ok(string(it.replace(old, new)))
}

fn split_list(args: &[Value]) -> Outcome {
    let [separator, it] = texts("splitList", args)?;
    // Go splits at an empty separator into characters, without empty ends.
    let parts: Vec<_> = if separator.is_empty() {
        it.chars()
            .take(ITEMS + 1)
            .map(|c| string(c.to_string()))
            .collect()
    } else {
        it.split(separator).take(ITEMS + 1).map(string).collect()
    };
    if parts.len() > ITEMS {
        return Err(exec(format!("splitList makes more than {ITEMS} items")));
    }
    Ok(Value::List(parts.into()))
}

fn quote(args: &[Value]) -> Outcome {
    let mut quoted = Vec::with_capacity(args.len());
    for arg in args {
        refuse_null(arg)?;
        refuse_long(arg)?;
        quoted.push(go_quote(&arg.to_string()));
    }
    Ok(string(quoted.join(" ")))
}

/// Go's `%q`.
fn go_quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            // Writing to a string cannot fail.
            c if c.is_ascii_control() => drop(write!(out, "\\x{:02x}", u32::from(c))),
            c if c.is_control() => drop(write!(out, "\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// `slugify [max] [smart] text`.
fn slugify(args: &[Value]) -> Outcome {
    let (max, smart, it) = match args {
        [it] => (50, true, it),
        [max, it] => (length(max)?, true, it),
        [max, Value::Bool(smart), it] => (length(max)?, *smart, it),
        _ => {
            return Err(exec(
                "slugify takes a length, true or false, and a text; the first two may be left out",
            ));
        }
    };
    let slug = text::slugify(text_of("slugify", it)?, max, smart);
    Ok(string(slug))
}

fn length(value: &Value) -> Result<usize, TemplateError> {
    let length = value.as_int().and_then(|it| usize::try_from(it).ok());
    length.ok_or_else(|| exec("slugify takes a length of at least 0"))
}
