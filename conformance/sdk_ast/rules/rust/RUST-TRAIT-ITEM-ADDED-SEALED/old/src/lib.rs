mod p { pub trait S {} }
pub trait T: p::S {}
