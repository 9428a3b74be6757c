package client

import p "w/GO-IFACE-SEALED/old"

type t struct{}

func (t) A() {}

var _ p.I = t{}
