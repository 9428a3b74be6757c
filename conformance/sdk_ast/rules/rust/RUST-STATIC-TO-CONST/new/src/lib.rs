#[allow(clippy::declare_interior_mutable_const)]
pub const C: std::sync::atomic::AtomicU8 = std::sync::atomic::AtomicU8::new(1);
