module example.invalid/xcagent

go 1.22
