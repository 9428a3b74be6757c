struct A { private: void f(); };
