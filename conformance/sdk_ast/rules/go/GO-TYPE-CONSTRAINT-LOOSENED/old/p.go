package p

type T[E comparable] struct{}
