#[derive(Clone)]
pub struct T;
