pub struct T { pub a: u8, pub b: u8 }
