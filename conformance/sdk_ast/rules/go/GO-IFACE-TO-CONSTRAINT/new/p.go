package p

type I interface { ~int; String() string }
