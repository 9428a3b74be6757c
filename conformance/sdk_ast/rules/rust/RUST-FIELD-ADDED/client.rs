#![allow(unused)]

fn g() -> lib::T { lib::T { a: 1 } }
