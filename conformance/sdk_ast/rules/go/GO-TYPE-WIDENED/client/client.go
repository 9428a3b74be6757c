package client

import p "w/GO-TYPE-WIDENED/old"

var _ p.T = 1 << 30
