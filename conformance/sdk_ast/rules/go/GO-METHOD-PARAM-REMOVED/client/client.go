package client

import p "w/GO-METHOD-PARAM-REMOVED/old"

func _() { p.T{}.M(1) }
