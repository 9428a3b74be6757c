void f() noexcept;
