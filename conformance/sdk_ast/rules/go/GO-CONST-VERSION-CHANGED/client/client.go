package client

import p "w/GO-CONST-VERSION-CHANGED/old"

var _ = p.Version
