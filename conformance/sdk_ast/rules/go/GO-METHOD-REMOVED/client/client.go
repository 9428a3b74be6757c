package client

import p "w/GO-METHOD-REMOVED/old"

func _() { p.T{}.M() }
