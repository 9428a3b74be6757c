pub struct T { pub a: u16 }
