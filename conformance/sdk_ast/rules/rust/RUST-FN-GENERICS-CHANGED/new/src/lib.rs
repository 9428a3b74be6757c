pub fn f<T: Default, U>() -> T { T::default() }
