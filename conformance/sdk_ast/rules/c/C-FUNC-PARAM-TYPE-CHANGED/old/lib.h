int f(long a);
