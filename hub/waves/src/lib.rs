//! The promotion engine: planner and run state machine, pure.
