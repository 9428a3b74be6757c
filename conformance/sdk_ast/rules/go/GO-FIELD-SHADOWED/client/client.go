package client

import p "w/GO-FIELD-SHADOWED/old"

var _ int = p.T{}.A
