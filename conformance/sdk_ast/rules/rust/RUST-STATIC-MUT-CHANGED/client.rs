#![allow(unused)]

fn g() { unsafe { lib::C = 2 } }
