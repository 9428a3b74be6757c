struct A { char x[16]; };
