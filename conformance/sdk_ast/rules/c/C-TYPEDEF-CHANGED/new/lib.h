typedef long t;
