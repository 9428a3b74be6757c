#![allow(unused)]

fn g(x: u8) -> bool { match x { lib::C => true, _ => false } }
