#![allow(unused)]

fn g() {}
