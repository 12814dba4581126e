//! The versioned key-value store and the blob store behind the hub.
