import * as lib from "./old/index.js";
new lib.C().a;
