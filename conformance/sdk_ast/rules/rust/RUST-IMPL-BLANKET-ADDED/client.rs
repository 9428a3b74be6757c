#![allow(unused)]

#[derive(Clone)]
struct N;
impl lib::T for N {}
