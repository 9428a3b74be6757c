pub struct T { a: u8 }
impl T { pub fn a(&self) -> u8 { self.a } }
