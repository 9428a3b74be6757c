#include "old/lib.hpp"
int f() { return a; }
