inline int f() { return 1; }
