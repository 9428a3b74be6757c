package client

import p "w/GO-FUNC-PARAM-TYPE-CHANGED/old"

func _() { var i int; p.F(i) }
