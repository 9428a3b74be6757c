template <class T = const char *> struct A { T x; };
