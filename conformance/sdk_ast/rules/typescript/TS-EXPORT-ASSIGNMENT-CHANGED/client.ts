import * as lib from "./old/index.js";
import f = require("./old/index.js");
f();
void lib;
