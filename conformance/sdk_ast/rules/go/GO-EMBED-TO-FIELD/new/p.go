package p

type E struct{}

type T struct{ E E }
