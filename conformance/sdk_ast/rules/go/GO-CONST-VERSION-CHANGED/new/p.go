package p

const Version = "1.1"
