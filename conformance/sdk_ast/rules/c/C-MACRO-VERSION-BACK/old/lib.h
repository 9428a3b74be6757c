#define X_VERSION 3
