//! The wire (`tidegate.v1`) and what the hub stores (`tidegate.storage.v1`).
//!
//! Owns the `.proto` files, the code generated from them (checked in, so that a reader can open
//! the types and a build needs no generator) and their descriptors. Knows nothing else of
//! Tidegate: conversions to the model live at the edges, in hub, agent and command line.

/// The wire between hub, agents and people.
#[allow(
    missing_docs,
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    reason = "generated from proto/tidegate/v1; what it says is not ours to shape"
)]
pub mod v1 {
    include!("gen/tidegate.v1.rs");
}

/// What the hub stores.
pub mod storage {
    /// The first version of the records.
    #[allow(
        missing_docs,
        clippy::pedantic,
        clippy::allow_attributes_without_reason,
        reason = "generated from proto/tidegate/storage/v1; what it says is not ours to shape"
    )]
    pub mod v1 {
        include!("gen/tidegate.storage.v1.rs");
    }
}

/// The encoded `FileDescriptorSet` of both packages, for reflection and for printing messages.
pub const DESCRIPTORS: &[u8] = include_bytes!("gen/descriptors.bin");
