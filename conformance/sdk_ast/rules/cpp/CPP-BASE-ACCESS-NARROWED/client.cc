#include "old/lib.hpp"
B &f(A &a) { return a; }
