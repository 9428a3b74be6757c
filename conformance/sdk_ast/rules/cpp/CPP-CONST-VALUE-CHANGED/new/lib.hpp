constexpr int a = 2;
