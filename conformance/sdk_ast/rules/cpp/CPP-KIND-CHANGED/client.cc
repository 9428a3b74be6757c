#include "old/lib.hpp"
void g() { f(); (void)&f; }
