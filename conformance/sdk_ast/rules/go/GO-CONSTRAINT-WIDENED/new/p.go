package p

type I interface { ~int | ~int64 | ~float64 }
