import * as lib from "./old/index.js";
export const s: string = new lib.C().a;
