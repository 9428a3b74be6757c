package p

type T <-chan int
