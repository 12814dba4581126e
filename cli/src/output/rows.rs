//! How each thing of the API is a row of a table, and what it is called.
//!
//! Owns columns and names. Never decides widths or colours.

mod delivery;
mod fleet;
mod objects;

use tidegate_proto::v1 as wire;

use super::{message::Described, table::Column};

/// A message that is a row of a table.
pub trait Row: Described {
    /// The columns, in order.
    const COLUMNS: &'static [Column];

    /// KIND/NAME, by which `-o name` calls it.
    fn name(&self) -> String;

    /// One cell for each column.
    fn cells(&self, now_ms: i64) -> Vec<String>;

    /// What its row has no room for, each with a heading; shown below when it is asked for alone.
    fn details(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// Its project, if it is in one.
    fn project(&self) -> Option<&str> {
        None
    }
}

/// One of the six words for health; what this version does not know is Unknown, never Healthy.
pub fn health(value: i32) -> &'static str {
    match wire::Health::try_from(value) {
        Ok(wire::Health::Healthy) => "Healthy",
        Ok(wire::Health::Progressing) => "Progressing",
        Ok(wire::Health::Degraded) => "Degraded",
        Ok(wire::Health::Suspended) => "Suspended",
        Ok(wire::Health::Missing) => "Missing",
        Ok(wire::Health::Unknown | wire::Health::Unspecified) | Err(_) => "Unknown",
    }
}

/// A role's name.
pub fn role(value: i32) -> &'static str {
    match wire::Role::try_from(value) {
        Ok(wire::Role::Viewer) => "viewer",
        Ok(wire::Role::Operator) => "operator",
        Ok(wire::Role::Admin) => "admin",
        Ok(wire::Role::Unspecified) | Err(_) => "none",
    }
}
