import * as lib from "./old/index.js";
lib.f(lib.E.A);
