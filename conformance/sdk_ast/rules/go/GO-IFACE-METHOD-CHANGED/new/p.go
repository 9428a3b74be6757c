package p

type I interface { A(string) }
