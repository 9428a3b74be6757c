#include "old/lib.hpp"
class A;
A *p;
