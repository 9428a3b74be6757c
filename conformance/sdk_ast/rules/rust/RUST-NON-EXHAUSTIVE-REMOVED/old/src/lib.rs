#[non_exhaustive]
pub enum T { A }
