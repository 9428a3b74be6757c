pub struct T;
impl T { pub fn m(&self) {} }
