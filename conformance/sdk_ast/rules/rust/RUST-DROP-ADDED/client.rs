#![allow(unused)]

fn g(t: lib::T) -> String { t.a }
