#include "old/lib.hpp"
A *p;
