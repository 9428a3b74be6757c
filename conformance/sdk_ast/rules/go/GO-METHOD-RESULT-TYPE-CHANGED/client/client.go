package client

import p "w/GO-METHOD-RESULT-TYPE-CHANGED/old"

var _ int = p.T{}.M()
