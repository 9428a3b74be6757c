package client

import p "w/GO-IFACE-COMPARABLE-ADDED/old"

var _ p.I
