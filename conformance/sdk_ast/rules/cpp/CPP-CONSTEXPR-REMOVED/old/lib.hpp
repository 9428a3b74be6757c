constexpr int f() { return 1; }
