enum { N = 1 };
