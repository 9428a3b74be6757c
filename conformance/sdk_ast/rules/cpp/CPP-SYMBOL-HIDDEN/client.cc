#include "old/lib.hpp"
void g() { f(); }
