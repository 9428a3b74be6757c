struct A { A(); A(A &&) = delete; A(const A &) = delete; };
