package client

import p "w/GO-TYPE-TYPEPARAMS-CHANGED/old"

var _ p.T[int]
