package client

import p "w/GO-CONST-VALUE-CHANGED/old"

var _ [4]int = [p.C]int{}
