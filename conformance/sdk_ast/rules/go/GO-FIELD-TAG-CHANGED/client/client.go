package client

import p "w/GO-FIELD-TAG-CHANGED/old"

var _ = p.T{A: 1}
