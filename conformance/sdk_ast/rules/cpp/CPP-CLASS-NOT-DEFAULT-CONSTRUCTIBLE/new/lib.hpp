struct A { A(int); int x; };
