struct B { int x; };
struct A : B { };
