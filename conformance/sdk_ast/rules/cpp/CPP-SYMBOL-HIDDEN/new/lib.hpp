__attribute__((visibility("hidden"))) void f();
