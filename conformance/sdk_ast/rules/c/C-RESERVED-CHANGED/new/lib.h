int __f(int, int);
