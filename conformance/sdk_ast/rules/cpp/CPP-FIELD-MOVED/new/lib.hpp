struct A { int y; int x; };
