package p

type I interface { ~int | ~int64 }
