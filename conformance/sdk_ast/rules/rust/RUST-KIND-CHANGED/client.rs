#![allow(unused)]

fn g() { let _t = lib::T; }
