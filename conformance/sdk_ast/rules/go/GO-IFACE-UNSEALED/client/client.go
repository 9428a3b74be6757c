package client

import p "w/GO-IFACE-UNSEALED/old"

func _(i p.I) { i.A() }
