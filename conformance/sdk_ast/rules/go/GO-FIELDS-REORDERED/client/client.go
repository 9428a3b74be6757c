package client

import p "w/GO-FIELDS-REORDERED/old"

var _ = p.T{1, ""}
