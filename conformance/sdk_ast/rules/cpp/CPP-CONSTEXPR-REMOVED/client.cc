#include "old/lib.hpp"
int a[f()];
