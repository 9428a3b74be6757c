#![allow(unused)]

fn g(t: lib::T<u16>) { t.m() }
