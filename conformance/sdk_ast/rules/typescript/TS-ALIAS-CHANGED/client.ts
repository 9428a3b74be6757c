import * as lib from "./old/index.js";
export const a: lib.A = "";
