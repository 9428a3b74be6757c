pub struct T { pub a: String }
