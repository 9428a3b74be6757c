struct s { char a[8] __attribute__((aligned(8))); };
