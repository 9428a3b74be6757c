pub trait T { fn m() where Self: Sized {}
 fn n<A>(&self, _a: A) {} }
