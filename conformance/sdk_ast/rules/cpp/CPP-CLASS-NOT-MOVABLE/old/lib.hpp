struct A { A(); A(A &&); A(const A &) = delete; };
