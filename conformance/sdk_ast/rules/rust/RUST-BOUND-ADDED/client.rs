#![allow(unused)]

struct N;
fn g() { lib::f(N) }
