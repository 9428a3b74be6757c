package client

import p "w/GO-EMBED-REMOVED/old"

var _ = p.T{E: p.E{}}
