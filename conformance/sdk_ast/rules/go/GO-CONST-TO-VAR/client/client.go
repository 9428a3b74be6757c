package client

import p "w/GO-CONST-TO-VAR/old"

var _ [p.C]int
