package p

type T[E, F any] struct{}
