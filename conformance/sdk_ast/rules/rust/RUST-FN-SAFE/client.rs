#![allow(unused)]

fn g() { unsafe { lib::f() } }
