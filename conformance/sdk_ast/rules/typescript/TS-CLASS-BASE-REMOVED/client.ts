import * as lib from "./old/index.js";
export const b: lib.B = new lib.C();
