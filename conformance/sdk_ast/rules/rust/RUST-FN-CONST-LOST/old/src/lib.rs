pub const fn f() -> u8 { 1 }
