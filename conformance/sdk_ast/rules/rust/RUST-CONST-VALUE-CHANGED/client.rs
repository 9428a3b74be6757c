#![allow(unused)]

const D: u8 = lib::C;
