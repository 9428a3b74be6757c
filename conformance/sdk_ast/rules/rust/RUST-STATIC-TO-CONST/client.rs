#![allow(unused)]

fn g() -> &'static std::sync::atomic::AtomicU8 { &lib::C }
