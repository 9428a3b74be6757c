struct A { virtual void g(); virtual void f(); };
