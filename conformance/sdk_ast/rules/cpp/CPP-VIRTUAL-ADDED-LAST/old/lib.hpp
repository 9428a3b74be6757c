struct A final { virtual void f(); };
