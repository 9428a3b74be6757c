#![allow(unused)]

fn g(_t: lib::T<u8>) {}
