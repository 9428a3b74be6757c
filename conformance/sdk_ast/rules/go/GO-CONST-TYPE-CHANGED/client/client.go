package client

import p "w/GO-CONST-TYPE-CHANGED/old"

var _ int64 = p.C
