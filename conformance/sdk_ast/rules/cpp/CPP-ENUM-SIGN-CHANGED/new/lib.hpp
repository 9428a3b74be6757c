enum E { a, b = -1 };
