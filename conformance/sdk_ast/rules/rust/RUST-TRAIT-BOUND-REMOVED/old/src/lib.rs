pub trait T { fn m<A: Clone>(a: &A) -> A; }
