#![allow(unused)]

struct N;
impl lib::T for N { type A = N; }
