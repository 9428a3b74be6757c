#include "old/lib.h"

int use = B;
