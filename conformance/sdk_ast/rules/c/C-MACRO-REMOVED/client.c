#include "old/lib.h"

int use = M;
