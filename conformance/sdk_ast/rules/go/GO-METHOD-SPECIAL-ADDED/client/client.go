package client

import p "w/GO-METHOD-SPECIAL-ADDED/old"

import "encoding/json"

var _, _ = json.Marshal(p.T{})
