pub enum T { A(u8) }
