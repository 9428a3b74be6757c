struct s { char *p; };
