package p

// F does nothing.
//
// Deprecated: use nothing.
func F() {}
