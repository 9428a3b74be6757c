package p

type T struct{ A int }
func (T) MarshalJSON() ([]byte, error) { return nil, nil }
