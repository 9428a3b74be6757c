module xinchuang/goapi

go 1.23
