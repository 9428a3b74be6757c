import * as lib from "./old/index.js";
const f = lib.f;
f();
