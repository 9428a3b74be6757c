namespace detail { void h(); }
void g();
