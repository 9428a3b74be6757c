#![allow(unused)]

fn s<X: Send>(_x: X) {}
fn g(t: lib::T) { s(t) }
