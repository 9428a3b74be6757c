struct A { A(); A(const A &) = delete; int x; };
