#define f(x) (x)
