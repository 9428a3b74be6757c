package client

import p "w/GO-FIELD-TYPE-CHANGED/old"

var _ int = p.T{}.A
