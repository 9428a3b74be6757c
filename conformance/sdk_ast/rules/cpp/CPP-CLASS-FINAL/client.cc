#include "old/lib.hpp"
class B : public A { };
