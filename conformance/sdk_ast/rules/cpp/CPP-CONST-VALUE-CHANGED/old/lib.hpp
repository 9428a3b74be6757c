constexpr int a = 1;
