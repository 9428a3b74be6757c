pub enum T { B, A(u8) }
