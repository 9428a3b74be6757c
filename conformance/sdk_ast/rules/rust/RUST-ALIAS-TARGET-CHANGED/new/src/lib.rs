pub type T = u16;
