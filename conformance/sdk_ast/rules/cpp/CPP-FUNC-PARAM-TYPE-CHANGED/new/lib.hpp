void f(long *);
