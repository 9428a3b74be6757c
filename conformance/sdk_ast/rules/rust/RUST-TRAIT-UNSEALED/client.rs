#![allow(unused)]

fn g<X: lib::T>(_x: X) {}
