typedef long u;
