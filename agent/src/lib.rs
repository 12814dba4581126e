//! The agent: reconciles its own cluster and reports health.
