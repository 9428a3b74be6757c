pub trait T {}
