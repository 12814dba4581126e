//! The one place that reads the time of the machine.

use jiff::Timestamp;

/// Now.
#[expect(
    clippy::disallowed_methods,
    reason = "the clock of the sandbox; its core is told the time"
)]
pub(crate) fn wall() -> Timestamp {
    Timestamp::now()
}
