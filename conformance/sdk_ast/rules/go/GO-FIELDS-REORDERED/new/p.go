package p

type T struct { B string; A int }
