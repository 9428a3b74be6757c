package client

import p "w/GO-METHOD-RESULT-ADDED/old"

var _ int = p.T{}.M()
