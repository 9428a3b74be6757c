#define N 1L
