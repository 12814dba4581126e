//! The API's messages as JSON values, by their own descriptors.
//!
//! Owns the one way from a message to protobuf's canonical JSON (protobuf.dev, "ProtoJSON"): 64-bit
//! numbers are strings, fields at their default are left out. Knows no message in particular.

use std::sync::OnceLock;

use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage};
use serde::Serialize;
use serde_json::Value;
use tidegate_proto::v1 as wire;

use crate::error::Error;

/// A message that can be printed.
pub trait Described: Message {
    /// Its full protobuf name.
    const MESSAGE: &'static str;
}

/// The descriptors call a message what the generated type is called.
macro_rules! described {
    ($($message:ident),* $(,)?) => {$(
        impl Described for wire::$message {
            const MESSAGE: &'static str = concat!("tidegate.v1.", stringify!($message));
        }
    )*};
}

described! {
    Application, ApplicationSet, AppliedObject, ApproveHoldResponse, AuditRecord, Cluster,
    CreateJoinTokenResponse, CreateUserResponse, DeleteApplicationSetResponse, DeleteWavePlanResponse, ExplainApplicationResponse, ExplainRunResponse,
    DiffReleasesResponse, Event, EventGap, GetTraceResponse, Hold, ObjectState, Pin, PlanResponse, PreviewResponse, Release, RemoveClusterResponse, RollbackChange, Run, Source, SyncedApplication, UnpinResponse,
    WavePlan, WhoAmIResponse,
}

/// Several messages, as every list prints.
#[derive(Debug, Serialize)]
pub struct List {
    items: Vec<Value>,
}

/// The messages as `{"items": […]}`.
pub fn list<T: Described>(items: &[T]) -> Result<List, Error> {
    Ok(List {
        items: items.iter().map(value).collect::<Result<_, _>>()?,
    })
}

/// The message in canonical JSON, keys sorted.
pub fn value<T: Described>(message: &T) -> Result<Value, Error> {
    let unknown = || Error::Print(format!("{} is not in the descriptors", T::MESSAGE));
    let descriptor = pool()?
        .get_message_by_name(T::MESSAGE)
        .ok_or_else(unknown)?;
    let failed = |error: &dyn std::error::Error| Error::Print(format!("{}: {error}", T::MESSAGE));
    let bytes = message.encode_to_vec();
    let dynamic =
        DynamicMessage::decode(descriptor, bytes.as_slice()).map_err(|error| failed(&error))?;
    let mut value = serde_json::to_value(&dynamic).map_err(|error| failed(&error))?;
    // Maps come in an order that differs from run to run.
    value.sort_all_objects();
    Ok(value)
}

/// The message that [`value`] has turned into this; a field that it does not have is an error.
pub fn read<T: Described + Default>(value: Value) -> Result<T, String> {
    let descriptor = pool().map_err(|error| error.to_string())?;
    let descriptor = descriptor
        .get_message_by_name(T::MESSAGE)
        .ok_or_else(|| format!("{} is not in the descriptors", T::MESSAGE))?;
    let dynamic =
        DynamicMessage::deserialize(descriptor, value).map_err(|error| error.to_string())?;
    dynamic.transcode_to().map_err(|error| error.to_string())
}

fn pool() -> Result<&'static DescriptorPool, Error> {
    static POOL: OnceLock<DescriptorPool> = OnceLock::new();
    if let Some(pool) = POOL.get() {
        return Ok(pool);
    }
    let pool = DescriptorPool::decode(tidegate_proto::DESCRIPTORS)
        .map_err(|error| Error::Print(format!("the descriptors are damaged: {error}")))?;
    Ok(POOL.get_or_init(|| pool))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mapping_is_protobufs_own() {
        let cluster = wire::Cluster {
            name: "dev".to_owned(),
            labels: [
                ("b".to_owned(), "2".to_owned()),
                ("a".to_owned(), "1".to_owned()),
            ]
            .into(),
            last_seen_ms: 1_700_000_000_000,
            applications: 3,
            health: wire::Health::Healthy.into(),
            ..wire::Cluster::default()
        };
        assert_eq!(
            value(&cluster).unwrap().to_string(),
            r#"{"applications":3,"health":"HEALTH_HEALTHY","labels":{"a":"1","b":"2"},"lastSeenMs":"1700000000000","name":"dev"}"#
        );
    }
}
