package client

import p "w/GO-FUNC-RESULT-REMOVED/old"

var _ error = p.F()
