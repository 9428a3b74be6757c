pub struct T;
impl Iterator for T { type Item = u8; fn next(&mut self) -> Option<u8> { None } }
