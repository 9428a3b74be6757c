package client

import p "w/GO-FUNC-TYPEPARAMS-CHANGED/old"

var _ = p.F[int]
