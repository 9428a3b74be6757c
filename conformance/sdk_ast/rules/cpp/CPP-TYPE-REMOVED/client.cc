#include "old/lib.hpp"
a x;
