struct B { int x; };
struct A : virtual B { };
