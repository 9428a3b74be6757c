// Loads modules of JavaScript under a process.arch: behind a wall.
//
// node evaluate.js ORDERS RESULTS: ORDERS is JSON, {"root": DIR, "files": [NAME, ...], "arch": NAME}. To RESULTS goes a line of
// JSON when a file begins, {"began": NAME}, and one for each thing that was run: {"file": NAME, "what": FUNCTION or "",
// "error": TYPE or "", "at": LINE, "explicit": BOOL, "value": TEXT}. {"passed": NAME} says that a file has functions that ask for the
// machine and that nothing called, as V8's coverage has it (Chrome DevTools Protocol, Profiler.takePreciseCoverage); {"called": NAME}
// takes that back.
//
// Packages that are not installed, and native modules, are stood in for by something that can be called, constructed and gone
// through; what they would have done is not seen.
"use strict";

const fs = require("fs");
const inspector = require("inspector");
const Module = require("module");
const os = require("os");
const path = require("path");
const url = require("url");

const orders = JSON.parse(fs.readFileSync(process.argv[2], "utf8"));
const results = process.argv[3];
const append = fs.appendFileSync;
const say = (fact) => append(results, JSON.stringify(fact) + "\n");
const realpath = fs.realpathSync;
const readFile = fs.readFileSync;

function absent() {
  const target = function () {};
  return new Proxy(target, {
    get(_target, key) {
      if (key === Symbol.toPrimitive) return () => "";
      if (key === Symbol.iterator) return function* () {};
      if (key === "then") return undefined;
      if (key === "prototype") return target.prototype;
      return absent();
    },
    apply: () => absent(),
    construct: () => absent(),
  });
}

class Exit extends Error {}

for (const [object, key, value] of [
  [process, "arch", orders.arch],
  [process, "platform", "linux"],
  [process, "exit", (code) => {
    throw new Exit(String(code));
  }],
  [os, "arch", () => orders.arch],
  [os, "machine", () => ({ x64: "x86_64", arm64: "aarch64", loong64: "loongarch64" })[orders.arch] || orders.arch],
  [os, "platform", () => "linux"],
]) Object.defineProperty(object, key, { value, writable: true, configurable: true, enumerable: true });

const load = Module._load;
Module._load = function (request, parent, main) {
  if (Module.builtinModules.includes(request.replace(/^node:/, ""))) return load(request, parent, main);
  if (request.endsWith(".node")) return absent();
  if (!/^[./]/.test(request)) {
    try {
      Module._resolveFilename(request, parent, main);
    } catch {
      return absent();
    }
  }
  return load(request, parent, main);
};

function ended(file, what, run) {
  const fact = { file, what, error: "", at: 0, explicit: false, value: "" };
  try {
    const value = run();
    fact.value = value === undefined ? "undefined" : value === null ? "null" : String(typeof value);
  } catch (error) {
    fact.error = error instanceof Exit ? "process.exit" : (error && error.name) || "Error";
    const whole = path.join(orders.root, file);
    for (const frame of String(error && error.stack).split("\n")) {
      const at = frame.lastIndexOf(whole + ":");
      if (at >= 0) {
        fact.at = parseInt(frame.slice(at + whole.length + 1), 10) || 0;
        break;
      }
    }
    const text = readFile(whole, "utf8").split("\n").slice(Math.max(0, fact.at - 1), fact.at).join("\n");
    fact.explicit = fact.at > 0 && (/\bthrow\b/.test(text) || error instanceof Exit);
  }
  say(fact);
}

const session = new inspector.Session();
session.connect();
session.post("Profiler.enable");
session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: false });

// The places of a file that name the machine: "arch", and what it is kept in.
function asking(text) {
  const kept = [...text.matchAll(/([\w$]+)\s*=[^=;\n][^;\n]*\barch\b/g)].map((match) => match[1].replace(/\$/g, "\\$"));
  return [...text.matchAll(new RegExp(`(?<![\\w$])(?:${["arch", ...new Set(kept)].join("|")})(?![\\w$])`, "g"))].map((match) => match.index);
}

const waiting = new Map();
for (const file of orders.files) {
  const whole = realpath(path.join(orders.root, file));
  waiting.set(url.pathToFileURL(whole).href, new Set(asking(readFile(whole, "utf8"))));
}

const done = new Map();
const told = new Set();

// Take the places in functions that were called since the last time from those that wait.
function covered() {
  session.post("Profiler.takePreciseCoverage", (_error, said) => {
    for (const script of said ? said.result : []) {
      const left = waiting.get(script.url);
      if (left === undefined) continue;
      for (const place of left) {
        let inner = null;
        for (const { ranges: [range] } of script.functions) {
          if (range.startOffset <= place && place < range.endOffset && (inner === null || range.startOffset >= inner.startOffset)) inner = range;
        }
        if (inner !== null && inner.count > 0) left.delete(place);
      }
    }
  });
}

for (const file of orders.files) {
  say({ began: file });
  const whole = path.join(orders.root, file);
  let made;
  ended(file, "", () => {
    made = require(realpath(whole));
  });
  try {
    const functions = typeof made === "function" ? { [made.name || "default"]: made } : made || {};
    for (const name of Object.keys(functions).slice(0, 100)) {
      const one = functions[name];
      if (typeof one === "function" && one.length === 0 && /\barch\b/.test(Function.prototype.toString.call(one)) && !/^class\b/.test(String(one))) {
        ended(file, name, () => one());
      }
    }
  } catch {
    // a module that is a proxy, or refuses to be looked at
  }
  done.set(file, url.pathToFileURL(realpath(whole)).href);
  covered();
  for (const [name, href] of done) {  // a later file may call what an earlier one has
    const left = waiting.get(href).size > 0;
    if (left !== told.has(name)) say(left ? { passed: name } : { called: name });
    if (left) told.add(name);
    else told.delete(name);
  }
}
say({ began: "" });
process.reallyExit(0);
