typedef struct { int a; } u;
