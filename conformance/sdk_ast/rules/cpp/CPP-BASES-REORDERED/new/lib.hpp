struct B { int b; };
struct C { int c; };
struct A : C, B { };
