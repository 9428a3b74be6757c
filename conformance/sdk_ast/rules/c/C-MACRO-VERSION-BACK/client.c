#include "old/lib.h"

int use(void) { return X_VERSION; }
