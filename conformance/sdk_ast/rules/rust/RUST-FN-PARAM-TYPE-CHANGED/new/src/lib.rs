pub fn f(_a: u16) {}
