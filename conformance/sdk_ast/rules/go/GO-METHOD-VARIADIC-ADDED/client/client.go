package client

import p "w/GO-METHOD-VARIADIC-ADDED/old"

var _ interface{ M(int) } = p.T{}
