#include "old/lib.h"

int use(u *p) { return p->a; }
