package p

const C = 4
