struct A { int x; long y; };
