package p

type T struct{}

func (T) A() int { return 0 }
