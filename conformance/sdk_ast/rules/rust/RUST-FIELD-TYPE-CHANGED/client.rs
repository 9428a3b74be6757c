#![allow(unused)]

fn g(t: lib::T) -> u8 { t.a }
