pub trait T { fn m(&self) {} }
impl<A: Clone> T for A {}
