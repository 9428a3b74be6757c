#[macro_export]
macro_rules! m { (a) => {}; (b) => {}; }
