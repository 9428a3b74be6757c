pub fn f<T>(_t: T) {}
