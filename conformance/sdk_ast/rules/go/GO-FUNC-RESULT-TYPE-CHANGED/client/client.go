package client

import p "w/GO-FUNC-RESULT-TYPE-CHANGED/old"

var _ int = p.F()
