extern long a;
