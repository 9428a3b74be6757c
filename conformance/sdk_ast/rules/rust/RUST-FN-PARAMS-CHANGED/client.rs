#![allow(unused)]

fn g() { lib::f(1) }
