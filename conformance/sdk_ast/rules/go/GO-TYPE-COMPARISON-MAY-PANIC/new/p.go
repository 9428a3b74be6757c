package p

type T struct{ a any }
