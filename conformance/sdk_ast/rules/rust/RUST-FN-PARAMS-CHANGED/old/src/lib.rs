pub fn f(_a: u8) {}
