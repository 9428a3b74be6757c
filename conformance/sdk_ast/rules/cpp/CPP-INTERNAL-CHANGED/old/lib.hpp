namespace detail { void f(); }
void g();
