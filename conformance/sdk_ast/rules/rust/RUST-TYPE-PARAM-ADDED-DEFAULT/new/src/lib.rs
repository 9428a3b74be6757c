pub struct T<A, B = u8>(A, std::marker::PhantomData<B>);
impl<A> T<A> { pub fn a(self) -> A { self.0 } }
