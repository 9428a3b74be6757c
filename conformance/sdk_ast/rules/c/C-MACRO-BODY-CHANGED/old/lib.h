#define M(x) (x)
