template <class T> void f(int);
