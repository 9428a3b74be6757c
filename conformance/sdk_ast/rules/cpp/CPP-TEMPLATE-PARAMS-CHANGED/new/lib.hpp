template <class T, class U> struct A { };
