typedef int num;
