struct A { A(); int x; int y; };
