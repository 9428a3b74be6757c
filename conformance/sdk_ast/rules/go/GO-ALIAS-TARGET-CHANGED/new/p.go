package p

type A = string
