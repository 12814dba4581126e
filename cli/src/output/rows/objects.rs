//! Rows of an application's objects.

use tidegate_proto::v1 as wire;

use super::{Row, health};
use crate::output::{
    differences::object_name,
    table::{Column, column, flexible},
    text::{or_dash, plain},
};

impl Row for wire::ObjectState {
    const COLUMNS: &'static [Column] = &[
        flexible("OBJECT"),
        column("SYNC"),
        column("HEALTH"),
        flexible("MESSAGE"),
    ];

    fn name(&self) -> String {
        let id = self.object.clone().unwrap_or_default();
        let kind = match id.group.as_str() {
            "" => id.kind.to_lowercase(),
            group => format!("{}.{group}", id.kind.to_lowercase()),
        };
        format!("{kind}/{}", id.name)
    }

    fn cells(&self, _now_ms: i64) -> Vec<String> {
        let mut message = plain(&self.message);
        if !self.drifted.is_empty() {
            let separator = if message.is_empty() { "" } else { "; " };
            message = format!("{message}{separator}changed: {}", self.drifted.join(", "));
        }
        vec![
            object_name(&self.object.clone().unwrap_or_default()),
            standing(self.standing()).to_owned(),
            health(self.health).to_owned(),
            or_dash(&message),
        ]
    }
}

fn standing(standing: wire::Standing) -> &'static str {
    match standing {
        wire::Standing::Synced => "Synced",
        wire::Standing::Waiting => "Waiting",
        wire::Standing::Failed => "Failed",
        wire::Standing::Foreign => "Foreign",
        wire::Standing::Missing => "Missing",
        wire::Standing::Drifted => "Drifted",
        wire::Standing::Unspecified => "-",
    }
}
