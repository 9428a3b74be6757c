class A { int y; int x; public: int get() const { return x; } };
