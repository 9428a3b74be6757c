package client

import p "w/GO-VAR-TO-CONST/old"

func _() { p.C = 5 }
