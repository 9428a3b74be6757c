#![allow(unused)]

fn g() -> lib::T { lib::T }
