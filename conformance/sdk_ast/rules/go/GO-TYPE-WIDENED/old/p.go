package p

type T int32
