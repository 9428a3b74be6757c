void f(int);
void f(int, int = 0);
