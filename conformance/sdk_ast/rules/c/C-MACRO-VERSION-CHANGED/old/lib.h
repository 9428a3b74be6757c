#define LIB_VERSION 1
