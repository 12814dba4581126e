//! Rows of the fleet around the deliveries: clusters, sources, holds, pins, the audit log.

use tidegate_proto::v1 as wire;

use super::{Row, health};
use crate::output::{
    age::{age, clock},
    table::{Column, column, flexible},
    text::{or_dash, plain, short},
};

impl Row for wire::Cluster {
    const COLUMNS: &'static [Column] = &[
        column("NAME"),
        column("AGENT"),
        column("HEALTH"),
        column("APPS"),
        column("SEEN"),
        flexible("LABELS"),
    ];

    fn name(&self) -> String {
        format!("cluster/{}", self.name)
    }

    fn cells(&self, now_ms: i64) -> Vec<String> {
        let labels: Vec<_> = self
            .labels
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        let agent = match (self.joined, self.connected) {
            (false, _) => "NotJoined",
            (true, true) => "Connected",
            (true, false) => "Disconnected",
        };
        vec![
            or_dash(&self.name),
            agent.to_owned(),
            health(self.health).to_owned(),
            self.applications.to_string(),
            age(self.last_seen_ms, now_ms),
            or_dash(&labels.join(",")),
        ]
    }
}

impl Row for wire::Source {
    const COLUMNS: &'static [Column] = &[
        flexible("REPOSITORY"),
        flexible("REVISION"),
        column("COMMIT"),
        column("CHECKED"),
        flexible("ERROR"),
    ];

    fn name(&self) -> String {
        format!("source/{}@{}", self.repo_url, self.revision)
    }

    fn cells(&self, now_ms: i64) -> Vec<String> {
        vec![
            or_dash(
                self.repo_url
                    .strip_prefix("https://")
                    .unwrap_or(&self.repo_url),
            ),
            or_dash(&self.revision),
            or_dash(&short(&self.commit)),
            age(self.checked_at_ms, now_ms),
            or_dash(&self.error),
        ]
    }
}

impl Row for wire::SyncedApplication {
    const COLUMNS: &'static [Column] = &[column("NAME"), flexible("CLUSTER"), flexible("RESULT")];

    fn name(&self) -> String {
        format!("application/{}", self.name)
    }

    fn cells(&self, _now_ms: i64) -> Vec<String> {
        let result = if self.error.is_empty() {
            "reconciling"
        } else {
            &self.error
        };
        vec![or_dash(&self.name), or_dash(&self.cluster), plain(result)]
    }
}

impl Row for wire::Hold {
    const COLUMNS: &'static [Column] = &[
        column("ID"),
        flexible("SET"),
        column("KIND"),
        column("AGE"),
        column("OPENS BY"),
        flexible("MESSAGE"),
    ];

    fn name(&self) -> String {
        format!("hold/{}", self.id)
    }

    fn cells(&self, now_ms: i64) -> Vec<String> {
        vec![
            or_dash(&self.id),
            or_dash(&self.set),
            or_dash(&self.kind),
            age(self.since_ms, now_ms),
            if self.approvable { "approval" } else { "unpin" }.to_owned(),
            or_dash(&self.message),
        ]
    }

    fn project(&self) -> Option<&str> {
        Some(&self.project)
    }
}

impl Row for wire::RollbackChange {
    const COLUMNS: &'static [Column] = &[
        column("APP"),
        flexible("CLUSTER"),
        column("WAVE"),
        column("FROM"),
        column("TO"),
        column("PINNED"),
        column("DENIED"),
    ];

    fn name(&self) -> String {
        format!("application/{}", self.app)
    }

    fn cells(&self, _: i64) -> Vec<String> {
        vec![
            or_dash(&self.app),
            or_dash(&self.cluster),
            or_dash(&self.wave),
            or_dash(&short(&self.from)),
            or_dash(&short(&self.to)),
            if self.pinned { "yes" } else { "no" }.to_owned(),
            self.denied.len().to_string(),
        ]
    }
}

impl Row for wire::Pin {
    const COLUMNS: &'static [Column] = &[
        column("APP"),
        flexible("CLUSTER"),
        column("BUNDLE"),
        column("OPENS"),
        column("AGE"),
        flexible("REASON"),
    ];

    fn name(&self) -> String {
        format!("pin/{}", self.app)
    }

    fn cells(&self, now_ms: i64) -> Vec<String> {
        vec![
            or_dash(&self.app),
            or_dash(&self.cluster),
            or_dash(&short(&self.bundle)),
            or_dash(&self.release),
            age(self.created_at_ms, now_ms),
            or_dash(&self.reason),
        ]
    }

    fn project(&self) -> Option<&str> {
        Some(&self.project)
    }
}

impl Row for wire::Event {
    const COLUMNS: &'static [Column] = &[
        column("TIME"),
        column("TYPE"),
        column("REASON"),
        flexible("OBJECT"),
        flexible("MESSAGE"),
    ];

    fn name(&self) -> String {
        let position = self.position.clone().unwrap_or_default();
        format!("event/{}-{}", position.epoch, position.sequence)
    }

    fn cells(&self, now_ms: i64) -> Vec<String> {
        vec![
            clock(self.at_ms, now_ms),
            or_dash(&self.r#type),
            or_dash(&self.reason),
            or_dash(&self.object),
            or_dash(&self.message),
        ]
    }
}

impl Row for wire::AuditRecord {
    const COLUMNS: &'static [Column] = &[
        column("SEQ"),
        column("AGE"),
        flexible("ACTOR"),
        column("ACTION"),
        flexible("SUBJECT"),
        flexible("REASON"),
    ];

    fn name(&self) -> String {
        format!("audit/{}", self.sequence)
    }

    fn cells(&self, now_ms: i64) -> Vec<String> {
        vec![
            self.sequence.to_string(),
            age(self.at_ms, now_ms),
            or_dash(&self.actor),
            or_dash(&self.action),
            or_dash(&self.subject),
            or_dash(&self.reason),
        ]
    }
}
