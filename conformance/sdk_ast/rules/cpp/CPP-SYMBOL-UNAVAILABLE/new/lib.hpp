__attribute__((unavailable)) void f();
