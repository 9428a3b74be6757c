template <class T> struct B { virtual void f() = 0; };
struct A : B<int> { };
