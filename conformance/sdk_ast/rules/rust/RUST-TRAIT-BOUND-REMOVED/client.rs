#![allow(unused)]

struct N;
impl lib::T for N { fn m<A: Clone>(a: &A) -> A { a.clone() } }
