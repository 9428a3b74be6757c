struct s { const char *p; };
