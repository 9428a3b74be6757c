pub enum T { B, A }
