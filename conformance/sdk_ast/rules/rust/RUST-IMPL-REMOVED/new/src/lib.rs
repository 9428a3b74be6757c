pub struct T;
