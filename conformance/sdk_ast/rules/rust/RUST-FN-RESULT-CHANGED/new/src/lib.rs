pub fn f() -> u16 { 1 }
