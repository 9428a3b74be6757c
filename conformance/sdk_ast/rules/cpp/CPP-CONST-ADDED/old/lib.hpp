struct A { void f() { } };
