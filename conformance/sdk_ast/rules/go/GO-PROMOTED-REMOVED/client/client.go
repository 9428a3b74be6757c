package client

import p "w/GO-PROMOTED-REMOVED/old"

var _ = p.T{}.A
