struct s { char a[8]; };
