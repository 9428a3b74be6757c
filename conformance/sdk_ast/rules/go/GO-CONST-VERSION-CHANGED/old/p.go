package p

const Version = "1.0"
