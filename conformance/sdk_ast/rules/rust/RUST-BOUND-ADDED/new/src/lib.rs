pub fn f<T: Clone>(_t: T) {}
