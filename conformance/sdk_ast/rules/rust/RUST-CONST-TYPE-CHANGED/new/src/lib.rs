pub const C: u16 = 1;
