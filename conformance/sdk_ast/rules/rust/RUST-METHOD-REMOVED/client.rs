#![allow(unused)]

fn g(t: lib::T) { t.m() }
