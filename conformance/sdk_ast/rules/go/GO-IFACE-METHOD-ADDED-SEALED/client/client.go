package client

import p "w/GO-IFACE-METHOD-ADDED-SEALED/old"

func _(i p.I) { i.A() }
