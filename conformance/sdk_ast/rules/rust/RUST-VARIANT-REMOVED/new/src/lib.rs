pub enum T { A }
