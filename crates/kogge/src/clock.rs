//! The machine's clock, for this binary to hand to everything that takes `now`.

use jiff::Timestamp;

#[expect(clippy::disallowed_methods, reason = "the binary is who wires the clock")]
pub fn now() -> Timestamp {
    Timestamp::now()
}
