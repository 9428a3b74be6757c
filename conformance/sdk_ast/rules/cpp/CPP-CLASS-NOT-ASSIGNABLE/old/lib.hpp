struct A { int x; };
