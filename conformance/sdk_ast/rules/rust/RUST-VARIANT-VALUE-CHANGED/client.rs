#![allow(unused)]

const _: () = assert!(lib::T::B as u8 == 1);
