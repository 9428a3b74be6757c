struct A { virtual void f(); virtual int g(); };
