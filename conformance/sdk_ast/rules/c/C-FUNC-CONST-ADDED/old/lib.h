int f(char *s);
