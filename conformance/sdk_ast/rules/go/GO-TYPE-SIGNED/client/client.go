package client

import p "w/GO-TYPE-SIGNED/old"

const _ = p.T(1 << 63)
