pub enum T { A(u8), B }
