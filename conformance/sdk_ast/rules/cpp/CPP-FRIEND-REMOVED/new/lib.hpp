struct A { };
