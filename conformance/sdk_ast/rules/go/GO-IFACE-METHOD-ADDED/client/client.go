package client

import p "w/GO-IFACE-METHOD-ADDED/old"

type t struct{}

func (t) A() {}

var _ p.I = t{}
