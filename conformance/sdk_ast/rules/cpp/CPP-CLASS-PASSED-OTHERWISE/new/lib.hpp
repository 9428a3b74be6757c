struct A { int x; ~A(); };
