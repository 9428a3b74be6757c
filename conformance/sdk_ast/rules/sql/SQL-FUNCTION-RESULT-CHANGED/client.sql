SELECT f(1) + 1;
