pub struct T {}
