using id = const char *;
