#[repr(C)]
pub struct T { pub a: u8 }
