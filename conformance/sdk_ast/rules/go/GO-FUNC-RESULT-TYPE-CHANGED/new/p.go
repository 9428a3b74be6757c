package p

func F() string { return "" }
