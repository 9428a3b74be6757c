package p

func F[K, V any](k K, v V) {}
