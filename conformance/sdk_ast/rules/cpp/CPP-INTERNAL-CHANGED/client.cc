#include "old/lib.hpp"
void x() { g(); }
