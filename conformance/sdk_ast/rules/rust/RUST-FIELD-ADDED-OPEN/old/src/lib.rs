#[non_exhaustive]
pub struct T { pub a: u8 }
