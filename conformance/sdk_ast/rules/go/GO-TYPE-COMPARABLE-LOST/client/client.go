package client

import p "w/GO-TYPE-COMPARABLE-LOST/old"

var _ map[p.T]int
