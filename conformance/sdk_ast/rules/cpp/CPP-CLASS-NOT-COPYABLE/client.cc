#include "old/lib.hpp"
A f(const A &a) { return a; }
