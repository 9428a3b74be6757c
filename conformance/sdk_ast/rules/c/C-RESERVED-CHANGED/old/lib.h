int __f(int);
