int f(const char *s);
