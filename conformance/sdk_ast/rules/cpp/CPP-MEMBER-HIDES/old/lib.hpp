struct B { void f(int); };
struct A : B { };
