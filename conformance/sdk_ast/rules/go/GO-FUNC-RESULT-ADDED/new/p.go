package p

func F() (int, error) { return 0, nil }
