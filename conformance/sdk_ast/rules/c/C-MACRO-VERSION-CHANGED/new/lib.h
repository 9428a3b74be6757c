#define LIB_VERSION 2
