enum E { a };
