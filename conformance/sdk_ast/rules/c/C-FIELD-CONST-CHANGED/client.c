#include "old/lib.h"

char *use(struct s *s) { return s->p; }
