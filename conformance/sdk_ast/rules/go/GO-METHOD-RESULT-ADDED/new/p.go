package p

type T struct{}
func (T) M() (int, error) { return 0, nil }
