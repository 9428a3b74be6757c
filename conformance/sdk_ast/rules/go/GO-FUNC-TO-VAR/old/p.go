package p

func F(int) {}
