pub trait T { fn m<A>(a: &A) -> A; }
