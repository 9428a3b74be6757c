package p

import "sync"

type T struct{ a int; mu sync.Mutex }
