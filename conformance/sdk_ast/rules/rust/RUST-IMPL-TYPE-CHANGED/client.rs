#![allow(unused)]

fn g(mut t: lib::T) -> Option<u8> { t.next() }
