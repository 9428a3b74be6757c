#include "old/lib.h"

int *use = &v;
