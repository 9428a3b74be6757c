#![allow(unused)]

fn g(_t: &dyn lib::T) {}
