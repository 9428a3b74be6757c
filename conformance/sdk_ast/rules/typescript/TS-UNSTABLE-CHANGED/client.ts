import * as lib from "./old/index.js";
void lib.b;
