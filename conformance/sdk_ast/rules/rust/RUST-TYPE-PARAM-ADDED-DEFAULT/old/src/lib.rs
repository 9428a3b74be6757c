pub struct T<A>(A);
impl<A> T<A> { pub fn a(self) -> A { self.0 } }
