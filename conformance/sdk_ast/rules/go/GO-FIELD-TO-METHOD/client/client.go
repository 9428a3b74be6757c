package client

import p "w/GO-FIELD-TO-METHOD/old"

var _ int = p.T{}.A
