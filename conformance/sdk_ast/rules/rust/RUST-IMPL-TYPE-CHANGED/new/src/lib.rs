pub struct T;
impl Iterator for T { type Item = u16; fn next(&mut self) -> Option<u16> { None } }
