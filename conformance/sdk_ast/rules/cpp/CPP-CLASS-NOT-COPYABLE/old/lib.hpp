struct A { A(); int x; };
