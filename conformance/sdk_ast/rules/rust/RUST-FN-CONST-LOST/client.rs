#![allow(unused)]

const C: u8 = lib::f();
