struct B { };
struct A : private B { };
