package p

func X(int) {}
