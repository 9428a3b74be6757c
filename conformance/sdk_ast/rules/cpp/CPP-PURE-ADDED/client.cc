#include "old/lib.hpp"
struct B : A { };
B b;
