#include "old/lib.hpp"
A *f();
