pub struct T { a: std::rc::Rc<u8> }
impl T { pub fn a(&self) -> u8 { *self.a } }
