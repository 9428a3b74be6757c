package p

type T[E any] struct{}
