struct s { char *a; };
