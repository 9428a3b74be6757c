package p

type D string
