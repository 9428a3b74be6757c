struct B { void f(int); };
struct A : B { void f(int *); };
