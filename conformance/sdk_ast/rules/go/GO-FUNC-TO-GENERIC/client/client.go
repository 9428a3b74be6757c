package client

import p "w/GO-FUNC-TO-GENERIC/old"

var _ = p.F
