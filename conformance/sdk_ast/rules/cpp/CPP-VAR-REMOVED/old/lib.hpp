extern int a;
extern int b;
