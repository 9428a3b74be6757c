package client

import p "w/GO-KIND-CHANGED/old"

var _ p.X
