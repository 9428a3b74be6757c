package client

import p "w/GO-METHOD-RESULT-REMOVED/old"

var _ error = p.T{}.M()
