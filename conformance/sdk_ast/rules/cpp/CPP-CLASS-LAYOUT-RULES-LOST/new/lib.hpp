struct A { int x; protected: int y; };
