package client

import p "w/GO-TYPE-UNDERLYING-CHANGED/old"

var _ = append(p.T{}, 1)
