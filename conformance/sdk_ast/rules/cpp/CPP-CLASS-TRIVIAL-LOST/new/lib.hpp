struct A { A() = default; A(const A &o) : x(o.x) { } int x; };
