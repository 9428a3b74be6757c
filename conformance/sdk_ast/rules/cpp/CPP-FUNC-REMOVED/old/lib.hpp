void f();
void g();
