package client

import p "w/GO-FIELD-REMOVED/old"

var _ = p.T{}.B
