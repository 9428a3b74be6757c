#include "old/lib.h"

t use;
