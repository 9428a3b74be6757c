package client

import p "w/GO-TYPE-CONSTRAINT-TIGHTENED/old"

var _ p.T[[]int]
