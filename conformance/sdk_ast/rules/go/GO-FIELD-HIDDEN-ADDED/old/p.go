package p

type T struct{ A int }
