package p

type I interface { A(); x() }
