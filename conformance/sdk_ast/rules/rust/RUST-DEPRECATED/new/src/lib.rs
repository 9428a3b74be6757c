#[deprecated]
pub fn f() {}
