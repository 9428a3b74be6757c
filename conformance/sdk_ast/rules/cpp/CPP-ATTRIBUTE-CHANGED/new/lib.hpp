[[nodiscard]] int f();
