pub enum T { A, B }
