package client

import p "w/GO-TYPE-COMPARISON-MAY-PANIC/old"

var _ = p.T{} == p.T{}
