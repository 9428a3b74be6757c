#![allow(unused)]

lib::m!(a);
