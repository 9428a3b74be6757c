#include "old/lib.hpp"
A<int> a;
