pub struct T;
impl T { pub fn m(&mut self) {} }
