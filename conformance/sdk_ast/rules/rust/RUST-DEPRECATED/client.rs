#![allow(unused)]

fn g() { lib::f() }
