package p

var F = func(int) {}
