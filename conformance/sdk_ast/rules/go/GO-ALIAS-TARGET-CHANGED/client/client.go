package client

import p "w/GO-ALIAS-TARGET-CHANGED/old"

var _ p.A = 1
