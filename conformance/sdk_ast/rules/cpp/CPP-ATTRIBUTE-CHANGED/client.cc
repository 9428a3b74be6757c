#include "old/lib.hpp"
int g() { return f(); }
