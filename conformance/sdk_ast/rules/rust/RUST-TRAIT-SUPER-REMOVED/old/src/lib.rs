pub trait T: Clone {}
