import * as lib from "./old/index.js";
void lib.a;
globalThis.xcGlobal.length;
