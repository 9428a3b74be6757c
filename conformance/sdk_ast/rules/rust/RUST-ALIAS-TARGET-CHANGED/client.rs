#![allow(unused)]

fn g() -> lib::T { 1u8 }
