#define SIZE 16
