package p

type T int
