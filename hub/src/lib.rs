//! The hub: sources, controllers, agent sessions, Fleet API.
