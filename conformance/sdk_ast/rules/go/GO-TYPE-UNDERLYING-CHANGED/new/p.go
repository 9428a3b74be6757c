package p

type T map[int]int
