package p

func F(a int, b string) {}
