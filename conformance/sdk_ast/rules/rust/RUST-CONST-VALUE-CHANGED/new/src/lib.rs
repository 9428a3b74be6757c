pub const C: u8 = 2;
