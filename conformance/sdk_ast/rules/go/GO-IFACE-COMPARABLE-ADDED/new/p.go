package p

type I interface { comparable; A() }
