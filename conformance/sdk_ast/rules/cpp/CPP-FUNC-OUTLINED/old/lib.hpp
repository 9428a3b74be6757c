inline void f() { }
