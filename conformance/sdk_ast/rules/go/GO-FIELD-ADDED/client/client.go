package client

import p "w/GO-FIELD-ADDED/old"

type other struct{ B int }

type both struct {
	p.T
	other
}

var _ = both{}.B
