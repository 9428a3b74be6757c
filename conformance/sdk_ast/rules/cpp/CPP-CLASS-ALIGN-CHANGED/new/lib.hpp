struct alignas(16) A { char x[16]; };
