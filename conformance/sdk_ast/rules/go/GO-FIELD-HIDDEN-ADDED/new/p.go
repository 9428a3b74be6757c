package p

type T struct{ A int; b int }
