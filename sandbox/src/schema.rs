//! Types of objects, as far as ownership of fields and strict reading need them.
//!
//! Owns the model of a type (which lists are sets or maps and by which keys, what is atomic, what
//! must be there) and the table of built-in types. Types of custom resources have the same shape.
//! Never judges an object; see [`check`].

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use serde_json::Value;

pub(crate) use self::{
    check::{Findings, unknown_or_mistyped},
    custom::custom_type,
    values::Rules,
};

mod check;
mod custom;
mod read;
mod values;

/// The table, made from a real server's OpenAPI by the conformance suite.
const BUILTIN: &str = include_str!("schema/builtin.json");

/// The type of a value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Type {
    /// One of JSON's own.
    Scalar(Scalar),
    /// Anything: objects by field, lists as a whole.
    Any,
    /// A list.
    List(Kind, Arc<Type>),
    /// An object with free keys.
    Map(Arc<Type>),
    /// An object with known fields.
    Struct(Arc<Struct>),
    /// A type of the built-in table.
    Named(Box<str>),
    /// As the type inside, but owned as a whole.
    Atomic(Arc<Type>),
}

/// JSON's own types and the two mixtures that Kubernetes has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scalar {
    String,
    Integer,
    Number,
    Boolean,
    /// A port or a share.
    IntOrString,
    /// A quantity.
    Quantity,
}

/// How the items of a list are told apart.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    Atomic,
    Set,
    Map(Vec<Box<str>>),
}

/// The fields of an object.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Struct {
    pub(crate) fields: BTreeMap<Box<str>, Field>,
    /// Whether other fields are kept too (`x-kubernetes-preserve-unknown-fields`).
    pub(crate) open: bool,
    pub(crate) atomic: bool,
}

/// One field.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Field {
    pub(crate) ty: Type,
    pub(crate) required: bool,
    pub(crate) default: Option<Value>,
    /// Whether nothing (`null`) is a value of it.
    pub(crate) nullable: bool,
    /// What a strategic merge patch does with it, unless it replaces or goes below.
    pub(crate) merge: Option<Box<Merge>>,
}

/// How a strategic merge patch treats a field (`x-kubernetes-patch-strategy`).
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Merge {
    /// A list's items are merged, not replaced.
    pub(crate) merges: bool,
    /// Fields that the patch does not name go (`$retainKeys`).
    pub(crate) retains: bool,
    /// A map is replaced, not merged.
    pub(crate) replaces: bool,
    /// What tells items apart (`x-kubernetes-patch-merge-key`); none for plain values.
    pub(crate) key: Option<Box<str>>,
}

/// Everything built in.
pub(crate) struct Table {
    /// `v1.36.3`, where it comes from.
    pub(crate) server: String,
    /// Rows of the kinds, as in the file.
    pub(crate) resources: Vec<Value>,
    types: BTreeMap<Box<str>, Type>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| read::table(BUILTIN));

/// The table of built-in kinds.
pub(crate) fn table() -> &'static Table {
    &TABLE
}

/// A type of the table.
pub(crate) fn named(name: &str) -> Option<&'static Type> {
    TABLE.types.get(name)
}

/// What a type is when names and atomic wrappers are looked through.
pub(crate) fn resolve(ty: &Type) -> (&Type, bool) {
    let (mut ty, mut atomic) = (ty, false);
    loop {
        match ty {
            Type::Atomic(inner) => {
                atomic = true;
                ty = inner;
            }
            Type::Named(name) => ty = TABLE.types.get(name).unwrap_or(&Type::Any),
            Type::Struct(it) => return (ty, atomic || it.atomic),
            _ => return (ty, atomic),
        }
    }
}

/// The known fields of a type, if it has some.
pub(crate) fn structure(ty: &Type) -> Option<&Struct> {
    match resolve(ty).0 {
        Type::Struct(it) => Some(it),
        _ => None,
    }
}
