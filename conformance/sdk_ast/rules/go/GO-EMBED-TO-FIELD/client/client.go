package client

import p "w/GO-EMBED-TO-FIELD/old"

var _ = p.T{E: p.E{}}
