package p

type I interface{ m() }

type T struct{}
