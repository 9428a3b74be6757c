package client

import p "w/GO-IFACE-METHOD-REMOVED/old"

func _(i p.I) { i.B() }
