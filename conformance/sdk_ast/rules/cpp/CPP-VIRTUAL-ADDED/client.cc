#include "old/lib.hpp"
struct B : A { void g(); };
