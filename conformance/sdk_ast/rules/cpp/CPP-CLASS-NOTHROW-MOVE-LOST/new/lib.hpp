struct A { A(); A(A &&); };
