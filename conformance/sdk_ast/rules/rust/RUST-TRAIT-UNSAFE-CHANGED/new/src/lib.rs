/// # Safety
/// Never.
pub unsafe trait T {}
