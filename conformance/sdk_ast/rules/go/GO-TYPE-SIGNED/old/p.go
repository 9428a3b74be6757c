package p

type T uint
