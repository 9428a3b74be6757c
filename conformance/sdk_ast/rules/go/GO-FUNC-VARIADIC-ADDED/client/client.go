package client

import p "w/GO-FUNC-VARIADIC-ADDED/old"

var _ func(int) = p.F
