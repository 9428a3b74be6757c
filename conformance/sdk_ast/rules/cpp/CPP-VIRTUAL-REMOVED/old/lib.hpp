struct A { virtual void f(); virtual void g(); };
