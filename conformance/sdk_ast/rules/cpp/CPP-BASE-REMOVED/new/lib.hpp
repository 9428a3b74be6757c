struct B { };
struct A { };
