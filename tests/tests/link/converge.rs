//! The two state machines in a simulated network.
