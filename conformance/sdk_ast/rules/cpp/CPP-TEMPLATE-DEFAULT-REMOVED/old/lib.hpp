template <class T = int> struct A { };
