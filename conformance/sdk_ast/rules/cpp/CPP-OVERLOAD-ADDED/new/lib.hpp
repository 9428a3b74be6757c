void f(int);
void f(const char *);
