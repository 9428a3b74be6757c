int *f();
