int f(void) __attribute__((unavailable));
