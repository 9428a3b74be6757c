#include "old/lib.h"

struct s use;
