module arms

go 1.22
