package p

var V struct{ A int }
