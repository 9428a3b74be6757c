package client

import p "w/GO-FIELD-ADDED/old"

var _ = p.T{A: 1}
