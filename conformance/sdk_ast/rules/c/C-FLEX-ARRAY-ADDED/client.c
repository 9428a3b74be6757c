#include "old/lib.h"

int use(struct s *p) { return p->a; }
