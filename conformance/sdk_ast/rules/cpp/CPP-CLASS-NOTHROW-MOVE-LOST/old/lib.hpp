struct A { A(); A(A &&) noexcept; };
