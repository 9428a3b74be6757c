module w

go 1.23
