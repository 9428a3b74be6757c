struct A { virtual void f(); void g(); };
