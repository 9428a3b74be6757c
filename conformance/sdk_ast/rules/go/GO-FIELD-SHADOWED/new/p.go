package p

type E struct{ A int }

type T struct { E; A string }
