struct s { int a; char d[]; };
