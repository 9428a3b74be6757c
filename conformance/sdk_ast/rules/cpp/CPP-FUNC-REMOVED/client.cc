#include "old/lib.hpp"
void h() { f(); }
