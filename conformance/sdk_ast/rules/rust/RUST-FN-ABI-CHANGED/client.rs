#![allow(unused)]

const F: extern "C" fn() = lib::f;
