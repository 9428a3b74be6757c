struct B { };
struct A { int x; };
