void f(int, int);
