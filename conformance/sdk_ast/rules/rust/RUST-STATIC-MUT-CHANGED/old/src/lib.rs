pub static mut C: u8 = 1;
