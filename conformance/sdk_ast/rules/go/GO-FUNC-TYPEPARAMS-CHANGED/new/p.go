package p

func F[T, U any](x T, y ...U) {}
