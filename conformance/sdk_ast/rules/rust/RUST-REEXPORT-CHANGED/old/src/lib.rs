pub use std::collections::HashMap as Map;
