package client

import p "w/GO-METHOD-ADDED/old"

type other struct{}

func (other) M() {}

type both struct {
	p.T
	other
}

func use(x both) { x.M() }
