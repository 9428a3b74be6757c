pub trait T { type A: Clone; }
