struct A { protected: void f(); };
