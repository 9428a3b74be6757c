struct B { };
struct A : B { void f(); };
