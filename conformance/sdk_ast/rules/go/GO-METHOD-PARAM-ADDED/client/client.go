package client

import p "w/GO-METHOD-PARAM-ADDED/old"

func _() { p.T{}.M() }
