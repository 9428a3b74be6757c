class A { int x; int y; public: int get() const { return x; } };
