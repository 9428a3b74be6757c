struct A { const int x; };
