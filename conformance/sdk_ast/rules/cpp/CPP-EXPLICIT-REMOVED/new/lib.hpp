struct A { A(int); };
