template <class T = int> struct A { T x; };
