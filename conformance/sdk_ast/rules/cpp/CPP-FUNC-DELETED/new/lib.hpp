void f(int) = delete;
