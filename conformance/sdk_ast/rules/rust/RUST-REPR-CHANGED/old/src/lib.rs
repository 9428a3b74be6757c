#[repr(u8)]
pub enum T { A }
