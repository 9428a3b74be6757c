#include "old/lib.h"

int use = LIB_VERSION;
