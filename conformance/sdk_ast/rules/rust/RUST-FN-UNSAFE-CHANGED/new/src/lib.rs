/// # Safety
/// Never.
pub unsafe fn f() {}
