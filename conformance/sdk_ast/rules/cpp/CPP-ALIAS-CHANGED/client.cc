#include "old/lib.hpp"
id x = 3;
