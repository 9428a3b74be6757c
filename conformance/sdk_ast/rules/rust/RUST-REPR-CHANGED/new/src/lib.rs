#[repr(u16)]
pub enum T { A }
