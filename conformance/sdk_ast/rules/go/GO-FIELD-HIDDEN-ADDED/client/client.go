package client

import p "w/GO-FIELD-HIDDEN-ADDED/old"

var _ = p.T{1}
