package p

type T struct{ A int `json:"b"` }
