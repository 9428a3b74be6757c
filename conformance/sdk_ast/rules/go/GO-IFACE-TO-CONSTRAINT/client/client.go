package client

import p "w/GO-IFACE-TO-CONSTRAINT/old"

var _ p.I
