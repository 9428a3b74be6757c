package client

import p "w/GO-FIELD-ADDED-UNKEYED/old"

var _ = p.T{1}
