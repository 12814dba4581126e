//! The `tidegate` binary: parse, run, exit code.
fn main() {}
