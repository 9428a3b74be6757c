package p

type T int64
