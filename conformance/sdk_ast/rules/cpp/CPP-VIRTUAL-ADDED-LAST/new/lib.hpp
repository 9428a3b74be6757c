struct A final { virtual void f(); virtual void g(); };
