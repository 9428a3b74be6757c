#include "old/lib.hpp"
A a;
