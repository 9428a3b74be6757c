#include "old/lib.hpp"
template <class T> struct A;
A<int> *p;
