long *f();
