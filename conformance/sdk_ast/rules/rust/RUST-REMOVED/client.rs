#![allow(unused)]

fn g() { lib::m::f() }
