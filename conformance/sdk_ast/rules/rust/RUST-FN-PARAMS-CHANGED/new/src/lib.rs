pub fn f(_a: u8, _b: u8) {}
