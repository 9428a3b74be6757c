package p

type X int
