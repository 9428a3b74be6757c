#include "old/lib.hpp"
E e = E::a;
