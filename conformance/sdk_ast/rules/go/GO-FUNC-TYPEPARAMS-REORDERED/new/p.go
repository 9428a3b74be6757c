package p

func F[V, K any](k K, v V) {}
