void f(int *);
