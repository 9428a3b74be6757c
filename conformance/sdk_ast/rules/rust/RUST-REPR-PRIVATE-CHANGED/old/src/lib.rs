#[repr(transparent)]
pub struct T(u8);
impl T { pub fn get(&self) -> u8 { self.0 } }
