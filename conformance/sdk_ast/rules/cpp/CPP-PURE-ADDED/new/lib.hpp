struct A { virtual void f() = 0; };
