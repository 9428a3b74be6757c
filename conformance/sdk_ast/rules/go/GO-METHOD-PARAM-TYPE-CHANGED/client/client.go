package client

import p "w/GO-METHOD-PARAM-TYPE-CHANGED/old"

func _() { p.T{}.M(1) }
