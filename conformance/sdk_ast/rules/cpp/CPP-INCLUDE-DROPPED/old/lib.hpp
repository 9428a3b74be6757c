#include <cstddef>
void f();
