int f(void) __attribute__((warn_unused_result));
