struct A { virtual void f() noexcept; };
