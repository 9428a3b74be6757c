void f(int = 2);
