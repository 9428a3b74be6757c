extern char v[4];
