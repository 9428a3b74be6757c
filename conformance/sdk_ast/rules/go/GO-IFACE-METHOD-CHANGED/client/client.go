package client

import p "w/GO-IFACE-METHOD-CHANGED/old"

func _(i p.I) { i.A(1) }
