#![allow(unused)]

fn g<X: lib::T>(x: &X) -> X { x.clone() }
