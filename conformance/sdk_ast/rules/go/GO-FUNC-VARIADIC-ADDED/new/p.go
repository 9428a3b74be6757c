package p

func F(a int, more ...string) {}
