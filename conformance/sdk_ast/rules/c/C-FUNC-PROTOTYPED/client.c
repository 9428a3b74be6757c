#include "old/lib.h"

int (*use)(int) = f;
