struct B { void f(); };
struct A : B { };
