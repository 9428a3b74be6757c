template <class T, class U = int> struct A { };
template <template <class> class C> struct H { };
