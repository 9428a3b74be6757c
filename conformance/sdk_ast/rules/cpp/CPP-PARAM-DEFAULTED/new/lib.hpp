inline void f(int, int = 0) { }
