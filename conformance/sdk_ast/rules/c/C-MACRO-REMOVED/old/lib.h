#define M 1
