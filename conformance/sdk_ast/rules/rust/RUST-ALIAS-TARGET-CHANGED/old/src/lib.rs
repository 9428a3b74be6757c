pub type T = u8;
