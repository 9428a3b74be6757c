pub extern "C" fn f() {}
