#include "old/lib.hpp"
A a{1, 2};
