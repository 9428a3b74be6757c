#include "old/lib.h"

int (*use)(long) = f;
