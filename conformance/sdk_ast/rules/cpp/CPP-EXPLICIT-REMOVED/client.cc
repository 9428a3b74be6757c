#include "old/lib.hpp"
A a(1);
