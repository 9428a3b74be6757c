package p

var C = 4
