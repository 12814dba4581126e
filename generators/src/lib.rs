//! ApplicationSet to applications: a pure, deterministic expansion.
