int f(char *a);
