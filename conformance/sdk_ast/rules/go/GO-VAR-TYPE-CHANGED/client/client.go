package client

import p "w/GO-VAR-TYPE-CHANGED/old"

var _ int = p.V
