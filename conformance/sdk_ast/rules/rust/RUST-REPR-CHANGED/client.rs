#![allow(unused)]

const _: () = assert!(std::mem::size_of::<lib::T>() == 1);
