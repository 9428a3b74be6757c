#[non_exhaustive]
pub enum T { A, B(u8) }
