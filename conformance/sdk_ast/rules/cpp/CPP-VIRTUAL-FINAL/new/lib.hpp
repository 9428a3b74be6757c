struct A { virtual void f() final; };
