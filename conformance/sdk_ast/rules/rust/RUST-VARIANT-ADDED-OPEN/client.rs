#![allow(unused)]

fn g(t: lib::T) { match t { lib::T::A => {}, _ => {} } }
