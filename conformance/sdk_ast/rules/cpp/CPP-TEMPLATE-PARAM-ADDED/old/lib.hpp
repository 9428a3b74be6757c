template <class T> struct A { };
template <template <class> class C> struct H { };
