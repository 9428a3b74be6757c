package client

import p "w/GO-FIELD-MOVED-TO-EMBEDDED/old"

var _ = p.T{A: 1}
