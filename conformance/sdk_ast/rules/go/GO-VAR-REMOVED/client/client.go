package client

import p "w/GO-VAR-REMOVED/old"

var _ = p.V
