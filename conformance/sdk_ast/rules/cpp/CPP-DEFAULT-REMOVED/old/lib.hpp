void f(int = 1);
