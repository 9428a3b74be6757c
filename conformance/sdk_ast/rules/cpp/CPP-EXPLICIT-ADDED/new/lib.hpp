struct A { explicit A(int); };
