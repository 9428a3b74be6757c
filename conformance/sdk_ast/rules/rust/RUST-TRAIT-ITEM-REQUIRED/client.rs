#![allow(unused)]

struct N;
impl lib::T for N {}
