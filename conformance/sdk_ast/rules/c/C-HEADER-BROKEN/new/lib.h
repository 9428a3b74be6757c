int f(unknown_t);
