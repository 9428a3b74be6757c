#include "old/lib.hpp"
int f(E e) { return e == a; }
