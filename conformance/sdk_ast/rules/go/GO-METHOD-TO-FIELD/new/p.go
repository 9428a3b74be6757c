package p

type T struct{ M func() }
