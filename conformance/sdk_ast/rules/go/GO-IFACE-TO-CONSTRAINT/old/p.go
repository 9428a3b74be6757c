package p

type I interface { String() string }
