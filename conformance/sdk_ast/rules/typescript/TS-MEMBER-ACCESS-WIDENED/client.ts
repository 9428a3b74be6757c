import * as lib from "./old/index.js";
export class D extends lib.C { u() { return this.a; } }
