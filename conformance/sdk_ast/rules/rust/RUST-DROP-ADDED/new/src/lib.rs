pub struct T { pub a: String }
impl Drop for T { fn drop(&mut self) {} }
