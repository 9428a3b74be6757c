inline void f(int) { }
