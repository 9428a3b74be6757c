import * as lib from "./old/index.js";
lib.f({ a: "" });
