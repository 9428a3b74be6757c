pub struct T { a: u8, b: u8 }
impl T { pub fn b(&self) -> u8 { self.b + self.a } }
