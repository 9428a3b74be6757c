void f(int);
