package p

type T struct{ A, B int }
