#define X_VERSION 2
