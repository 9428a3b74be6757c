package p

const C = 5
