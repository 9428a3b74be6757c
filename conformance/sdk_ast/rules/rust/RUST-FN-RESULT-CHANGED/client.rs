#![allow(unused)]

fn g() -> u8 { lib::f() }
