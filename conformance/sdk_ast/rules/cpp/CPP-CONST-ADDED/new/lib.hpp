struct A { void f() const { } };
