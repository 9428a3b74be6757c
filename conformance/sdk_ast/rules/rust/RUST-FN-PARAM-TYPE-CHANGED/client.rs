#![allow(unused)]

fn g(a: u8) { lib::f(a) }
