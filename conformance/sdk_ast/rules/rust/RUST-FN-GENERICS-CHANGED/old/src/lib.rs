pub fn f<T: Default>() -> T { T::default() }
