pub trait T { fn m(&self) {} }
