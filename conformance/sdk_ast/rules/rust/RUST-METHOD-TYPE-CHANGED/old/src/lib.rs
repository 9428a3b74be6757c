pub struct T<A>(pub A);
impl<A> T<A> { pub fn m(&self) {} }
