void f(int);
void f(double) = delete;
