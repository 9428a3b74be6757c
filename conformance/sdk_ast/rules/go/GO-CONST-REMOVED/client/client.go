package client

import p "w/GO-CONST-REMOVED/old"

var _ = p.C
