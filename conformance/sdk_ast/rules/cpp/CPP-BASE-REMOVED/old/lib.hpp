struct B { };
struct A : B { };
