import * as lib from "./old/index.js";
export const s: string | null = lib.f().a;
