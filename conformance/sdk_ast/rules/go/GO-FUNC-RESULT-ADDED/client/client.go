package client

import p "w/GO-FUNC-RESULT-ADDED/old"

var _ int = p.F()
