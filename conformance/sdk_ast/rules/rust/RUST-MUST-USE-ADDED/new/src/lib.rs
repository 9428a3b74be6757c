#[must_use]
pub fn f() -> u8 { 1 }
