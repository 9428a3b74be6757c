struct A { unsigned x; };
