import * as lib from "./old/index.js";
export const o: object = lib.E;
