package client

import p "w/GO-IMPLEMENTS-LOST/old"

var _ p.I = p.T{}
