template <class T> struct A { };
template <> struct A<int> { };
