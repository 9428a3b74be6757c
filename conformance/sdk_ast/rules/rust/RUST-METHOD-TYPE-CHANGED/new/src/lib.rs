pub struct T<A>(pub A);
impl T<u8> { pub fn m(&self) {} }
