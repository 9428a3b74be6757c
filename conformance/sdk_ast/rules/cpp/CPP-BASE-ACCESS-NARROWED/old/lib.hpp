struct B { };
struct A : public B { };
