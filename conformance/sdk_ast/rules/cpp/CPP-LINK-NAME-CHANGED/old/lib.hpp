extern "C" void f(int);
