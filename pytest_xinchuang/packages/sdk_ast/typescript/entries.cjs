"use strict";
// What of a package can be imported, and where the compiler finds its declarations (Node.js, "Package entry points").
const fs = require("node:fs");
const path = require("node:path");

const CODE = /\.(d\.[cm]?ts|[cm]?tsx?|[cm]?jsx?)$/;

function entriesOf(ts, options, home, root, name, manifest) {
  if (!manifest) {
    const file = ["index.d.ts", "index.ts", "index.d.mts", "index.js", "index.mjs"].map((one) => path.join(root, one)).find(fs.existsSync);
    return file ? ["import", "require"].map((mode) => ({ path: name, mode, file })) : [];
  }
  const found = [];
  for (const sub of subpaths(root, manifest)) {
    const specifier = name + sub.slice(1);
    for (const mode of ["import", "require"]) {
      const resolved = resolve(ts, options, home, specifier, mode) || (mode === "import" && resolveByBundler(ts, options, home, specifier));
      if (resolved) found.push({ path: specifier, mode, file: fs.realpathSync(resolved.resolvedFileName) });
    }
  }
  return found;
}

function resolve(ts, options, home, specifier, mode) {
  const from = path.join(home, "client", mode === "import" ? "c.mts" : "c.cts");
  const kind = mode === "import" ? ts.ModuleKind.ESNext : ts.ModuleKind.CommonJS;
  const found = kept(ts.resolveModuleName(specifier, from, options, ts.sys, undefined, undefined, kind).resolvedModule);
  // What is an ES module cannot be had by require (TS1479).
  const format = found && ts.getImpliedNodeFormatForFile(found.resolvedFileName, undefined, ts.sys, options);
  return mode === "require" && format === ts.ModuleKind.ESNext ? undefined : found;
}

function resolveByBundler(ts, options, home, specifier) {
  const bundler = { ...options, module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler };
  return kept(ts.resolveModuleName(specifier, path.join(home, "client", "c.ts"), bundler, ts.sys).resolvedModule);
}

function kept(module) {
  return module && CODE.test(module.resolvedFileName) ? module : undefined;
}

function subpaths(root, manifest) {
  const exported = manifest.exports;
  if (exported === undefined || exported === null) {
    const versions = Object.values(manifest.typesVersions || {}).flatMap((one) => Object.keys(one || {}));
    const plain = versions.filter((one) => one !== "*" && one !== "." && !one.includes("*"));
    return [".", ...plain.map((one) => "./" + one.replace(/^\.\//, ""))];
  }
  const keyed = typeof exported === "object" && Object.keys(exported).some((key) => key.startsWith("."));
  if (!keyed) return ["."];
  const found = new Set();
  for (const [key, value] of Object.entries(exported)) {
    if (value === null || key.endsWith(".json") || key.endsWith("/")) continue;
    if (!key.includes("*")) found.add(key);
    else for (const one of expanded(root, key, targets(value))) found.add(one);
  }
  return [...found].sort();
}

function targets(value) {
  if (typeof value === "string") return [value];
  return value && typeof value === "object" ? Object.values(value).flatMap(targets) : [];
}

function expanded(root, key, patterns) {
  const found = new Set();
  for (const pattern of patterns.filter((one) => one.includes("*"))) {
    const [before, after] = pattern.split("*");
    const base = path.join(root, before.slice(0, before.lastIndexOf("/") + 1));
    for (const file of listed(base)) {
      const whole = "./" + path.relative(root, file).split(path.sep).join("/");
      const fits = whole.startsWith(before) && whole.endsWith(after) && whole.length > before.length + after.length;
      if (fits && CODE.test(whole)) found.add(key.replace("*", whole.slice(before.length, whole.length - after.length)));
    }
  }
  return found;
}

function listed(directory) {
  if (!fs.existsSync(directory)) return [];
  return fs.readdirSync(directory, { withFileTypes: true }).flatMap((one) => {
    if (one.name === "node_modules") return [];
    const file = path.join(directory, one.name);
    return one.isDirectory() ? listed(file) : [file];
  });
}

module.exports = { entriesOf };
