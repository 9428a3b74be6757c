struct B { };
struct A : B { int x; };
