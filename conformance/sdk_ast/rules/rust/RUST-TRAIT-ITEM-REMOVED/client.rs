#![allow(unused)]

fn g<X: lib::T>(x: X) { x.m() }
