#define M(x) (+(x))
