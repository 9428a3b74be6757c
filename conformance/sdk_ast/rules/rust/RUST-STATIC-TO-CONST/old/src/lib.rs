pub static C: std::sync::atomic::AtomicU8 = std::sync::atomic::AtomicU8::new(1);
