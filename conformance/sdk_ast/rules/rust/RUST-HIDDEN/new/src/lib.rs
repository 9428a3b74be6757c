#[doc(hidden)]
pub fn f() {}
