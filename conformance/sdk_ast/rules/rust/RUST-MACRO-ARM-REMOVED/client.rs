#![allow(unused)]

lib::m!(b);
