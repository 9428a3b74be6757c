#![allow(unused)]

fn g(t: &lib::T) -> lib::T { t.clone() }
