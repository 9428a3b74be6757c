#![allow(unused)]

fn g() -> std::collections::HashMap<u8, u8> { lib::Map::new() }
