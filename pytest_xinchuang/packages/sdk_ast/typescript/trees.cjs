"use strict";
// Types as trees: what can be named by an importer is named, and everything else is written out.
const path = require("node:path");

const MOST_DEEP = 7;
// Steps into type arguments and members of unions, beyond which a type is kept as it is written.
const MOST_NESTED = 16;
const TAGS = ["deprecated", "internal", "alpha", "beta", "experimental", "public"];

class Trees {
  constructor(ts, program, checker, named, root) {
    Object.assign(this, { ts, program, checker, named, root, around: new Set() });
  }

  // -- symbols

  symbol(symbol, exported) {
    const { ts } = this;
    const F = ts.SymbolFlags;
    const declaration = (symbol.declarations || [])[0];
    const found = { tags: this.tags(symbol, exported), at: this.at(declaration) };
    if (!declaration && !(symbol.flags & (F.Value | F.Type))) return { ...found, unknown: true };
    const typeOnly = exported.declarations && exported.declarations.some((one) => ts.isTypeOnlyImportOrExportDeclaration(one));
    if (symbol.flags & F.Value && !typeOnly) found.value = this.value(symbol, declaration);
    if (symbol.flags & F.Type) found.type = this.typeSide(symbol, declaration);
    if (symbol.flags & (F.NamespaceModule | F.ValueModule)) found.namespace = true;
    return found;
  }

  augmentation(symbol, members) {
    const { ts } = this;
    const found = { tags: [], at: this.at((symbol.declarations || [])[0]) };
    const own = members.filter((one) => !(one.flags & ts.SymbolFlags.TypeParameter));
    if (own.length) return { ...found, type: { form: "interface", tp: [], members: this.named_members(own, new Scope()) } };
    return this.symbol(symbol, symbol);
  }

  value(symbol, declaration) {
    const { ts, checker } = this;
    const F = ts.SymbolFlags;
    const type = checker.getTypeOfSymbolAtLocation(symbol, declaration || this.program.getSourceFiles()[0]);
    const scope = new Scope();
    if (symbol.flags & F.Class) {
      return {
        form: "class", abstract: this.has(declaration, ts.ModifierFlags.Abstract), construct: this.construct(symbol, type),
        statics: this.members(type, scope, (one) => one.name !== "prototype"),
      };
    }
    if (symbol.flags & F.Enum) {
      return { form: symbol.flags & F.ConstEnum ? "const enum" : "enum" };
    }
    if (symbol.flags & F.Function) return { form: "function", call: this.signatures(type.getCallSignatures(), scope) };
    if (symbol.flags & F.ValueModule && !(symbol.flags & F.Variable)) return { form: "namespace" };
    const list = declaration && ts.isVariableDeclaration(declaration) ? ts.getCombinedNodeFlags(declaration) : ts.NodeFlags.Const;
    const call = type.getCallSignatures();
    const form = list & ts.NodeFlags.Const ? "const" : "let";
    if (call.length && !type.getConstructSignatures().length && !checker.getPropertiesOfType(type).length) {
      return { form, call: this.signatures(call, scope) };
    }
    return { form, t: this.tree(type, scope) };
  }

  construct(symbol, type) {
    const { ts } = this;
    const all = (symbol.declarations || []).flatMap((one) => one.members || []).filter((one) => ts.isConstructorDeclaration(one));
    const flags = all.length ? ts.getCombinedModifierFlags(all[0]) : 0;
    const access = flags & ts.ModifierFlags.Private ? "private" : flags & ts.ModifierFlags.Protected ? "protected" : "public";
    const scope = new Scope();
    scope.add(this.parameters(symbol));
    return { access, sigs: this.signatures(type.getConstructSignatures(), scope, true) };
  }

  parameters(symbol) {
    const type = this.checker.getDeclaredTypeOfSymbol(symbol);
    return type.localTypeParameters || type.aliasTypeArguments || type.typeParameters || this.checker.getTypeArguments && type.target && type.target.localTypeParameters || [];
  }

  typeSide(symbol, declaration) {
    const { ts, checker } = this;
    const F = ts.SymbolFlags;
    const type = checker.getDeclaredTypeOfSymbol(symbol);
    const scope = new Scope();
    if (symbol.flags & F.Enum) {
      const members = {};
      for (const [key, one] of symbol.exports) {
        if (!(one.flags & F.EnumMember)) continue;
        const at = one.declarations && one.declarations[0];
        members[ts.unescapeLeadingUnderscores(key)] = at ? checker.getConstantValue(at) ?? null : null;
      }
      return { form: "enum", members: {}, values: members };
    }
    const alias = symbol.flags & F.TypeAlias;
    const own = (alias ? this.aliasParameters(symbol) : type.localTypeParameters) || [];
    const tp = this.typeParameters(own, scope);
    if (alias) {
      const t = this.tree(type, scope, 0, symbol);
      return t.k === "o" ? { form: "alias", tp, ...t } : { form: "alias", tp, t };
    }
    const form = symbol.flags & F.Class ? "class" : "interface";
    const bases = (checker.getBaseTypes(type) || []).map((one) => this.tree(one, scope));
    const hidden = checker.getPropertiesOfType(type).some((one) => this.access(one) !== "public" || one.name.startsWith("__#"));
    return { form, tp, bases, hidden, ...this.shape(type, scope) };
  }

  aliasParameters(symbol) {
    const declaration = (symbol.declarations || []).find((one) => one.typeParameters);
    return declaration ? declaration.typeParameters.map((one) => this.checker.getTypeAtLocation(one.name)) : [];
  }

  typeParameters(parameters, scope, deep = 0) {
    scope.add(parameters);
    return parameters.map((one) => {
      const constraint = this.checker.getBaseConstraintOfType(one) && one.getConstraint();
      const fallback = one.getDefault();
      const found = { n: one.symbol.name, i: scope.label(one) };
      if (constraint && !(constraint.flags & this.ts.TypeFlags.AnyOrUnknown)) found.ext = this.tree(constraint, scope, deep + 1);
      if (fallback) found.def = this.tree(fallback, scope, deep + 1);
      return found;
    });
  }

  // -- members

  shape(type, scope, deep = 0) {
    const { checker } = this;
    const found = { members: this.members(type, scope, () => true, deep) };
    const call = type.getCallSignatures();
    const construct = type.getConstructSignatures();
    const index = checker.getIndexInfosOfType(type);
    if (call.length) found.call = this.signatures(call, scope, false, deep);
    if (construct.length) found.new = this.signatures(construct, scope, false, deep);
    if (index.length) {
      found.index = index.map((one) => ({ key: this.tree(one.keyType, scope, deep + 1), t: this.tree(one.type, scope, deep + 1), ro: one.isReadonly }));
    }
    return found;
  }

  members(type, scope, wanted, deep = 0) {
    const own = this.checker.getPropertiesOfType(type).filter((one) => wanted(one) && !this.ofLibrary(one));
    return this.named_members(own, scope, deep);
  }

  named_members(symbols, scope, deep = 0) {
    const found = {};
    for (const one of symbols) {
      const access = this.access(one);
      if (access === "private" || one.name.startsWith("__#")) continue;
      found[one.name.startsWith("__@") ? this.wellKnown(one) : one.name] = this.member(one, scope, access, deep);
    }
    return found;
  }

  wellKnown(symbol) {
    const at = symbol.declarations && symbol.declarations[0];
    return at && at.name ? at.name.getText() : symbol.name;
  }

  member(symbol, scope, access, deep) {
    const { ts, checker } = this;
    const F = ts.SymbolFlags;
    const at = symbol.valueDeclaration || (symbol.declarations || [])[0];
    const type = at ? checker.getTypeOfSymbolAtLocation(symbol, at) : checker.getTypeOfSymbol(symbol);
    const optional = !!(symbol.flags & F.Optional);
    const bare = optional ? checker.getNonNullableType(type) : type;
    const calls = bare.getCallSignatures();
    const found = { kind: symbol.flags & F.Method ? "method" : symbol.flags & F.Accessor ? "accessor" : "property" };
    if (optional) found.opt = true;
    if (access === "protected") found.access = access;
    const flags = at ? ts.getCombinedModifierFlags(at) : 0;
    const readonly = flags & ts.ModifierFlags.Readonly || (symbol.flags & F.GetAccessor && !(symbol.flags & F.SetAccessor))
      || (ts.getCheckFlags && ts.getCheckFlags(symbol) & 8);
    if (readonly) found.ro = true;
    if (flags & ts.ModifierFlags.Abstract) found.abstract = true;
    if (symbol.flags & F.Accessor && !(symbol.flags & F.GetAccessor)) found.wo = true;
    const tags = this.tags(symbol, symbol);
    if (tags.length) found.tags = tags;
    if (found.kind === "method" && calls.length) found.call = this.signatures(calls, scope, false, deep);
    else found.t = this.without(this.tree(type, scope, deep + 1), optional);
    const setter = (symbol.declarations || []).find((one) => ts.isSetAccessor(one) && one.parameters.length === 1);
    if (setter && !found.ro && !found.wo) {
      const taken = this.tree(checker.getTypeAtLocation(setter.parameters[0]), scope, deep + 1);
      if (JSON.stringify(taken) !== JSON.stringify(found.t)) found.w = taken;
    }
    return found;
  }

  without(tree, optional) {
    if (!optional || tree.k !== "u") return tree;
    const of = tree.of.filter((one) => !(one.k === "p" && one.n === "undefined"));
    return of.length === 1 ? of[0] : { k: "u", of };
  }

  access(symbol) {
    const at = symbol.valueDeclaration || (symbol.declarations || [])[0];
    const flags = at ? this.ts.getCombinedModifierFlags(at) : 0;
    return flags & this.ts.ModifierFlags.Private ? "private" : flags & this.ts.ModifierFlags.Protected ? "protected" : "public";
  }

  signatures(list, scope, construct = false, deep = 0) {
    return list.map((one) => this.signature(one, scope, construct, deep));
  }

  signature(signature, outer, construct, deep) {
    const { ts, checker } = this;
    const scope = outer.inner();
    const found = {};
    const own = (signature.typeParameters || []).filter((one) => !outer.has(one));
    if (own.length) found.tp = this.typeParameters(own, scope, deep);
    const rest = signature.declaration && ts.isFunctionLike(signature.declaration) && signature.declaration.parameters;
    found.params = signature.parameters.map((one, index) => {
      const at = one.valueDeclaration;
      const type = at ? checker.getTypeOfSymbolAtLocation(one, at) : checker.getTypeOfSymbol(one);
      const isRest = at ? ts.isParameter(at) && !!at.dotDotDotToken : !!(rest && signature.hasRestParameter && index === signature.parameters.length - 1);
      const optional = !isRest && (index >= signature.minArgumentCount);
      const parameter = { n: one.name, t: this.without(this.tree(type, scope, deep + 1), optional) };
      if (optional) parameter.opt = true;
      if (isRest) parameter.rest = true;
      return parameter;
    });
    const own_this = signature.thisParameter && checker.getTypeOfSymbol(signature.thisParameter);
    if (own_this && !(own_this.flags & ts.TypeFlags.Void)) found.this = this.tree(own_this, scope, deep + 1);
    const predicate = checker.getTypePredicateOfSignature(signature);
    if (predicate) {
      const of = predicate.parameterName || "this";
      found.pred = { asserts: predicate.kind === ts.TypePredicateKind.AssertsThis || predicate.kind === ts.TypePredicateKind.AssertsIdentifier,
        index: predicate.parameterIndex ?? -1, of, t: predicate.type ? this.tree(predicate.type, scope, deep + 1) : null };
    }
    const written = signature.declaration && signature.declaration.type;
    if (construct && named(signature.getReturnType())) found.ret = { k: "self" };
    else if (written && written.kind === ts.SyntaxKind.ThisType) found.ret = { k: "this" };
    else found.ret = this.tree(signature.getReturnType(), scope, deep + 1);
    const tags = signature.getJsDocTags().map((one) => one.name).filter((one) => TAGS.includes(one));
    if (tags.length) found.tags = tags;
    return found;
  }

  // -- types

  tree(type, scope, deep = 0, self = null) {
    const { ts, checker } = this;
    const T = ts.TypeFlags;
    const flags = type.flags;
    if (type.intrinsicName === "error" || type.intrinsicName === "unresolved") return { k: "e", s: checker.typeToString(type) };
    const alias = type.aliasSymbol;
    if (alias && alias !== self && (this.named.has(alias) || this.foreign(alias))) {
      return this.reference(alias, type.aliasTypeArguments || [], scope, deep);
    }
    if (flags & T.TypeParameter) {
      if (type.isThisType) return { k: "this" };
      return { k: "T", n: type.symbol ? type.symbol.name : "T", i: scope.label(type) };
    }
    if (flags & T.EnumLike && type.symbol && !(flags & T.Union && !(flags & T.EnumLiteral) && !(type.symbol.flags & ts.SymbolFlags.Enum))) {
      return this.enumeration(type, scope, deep);
    }
    if (flags & T.StringLiteral) return { k: "l", v: JSON.stringify(type.value) };
    if (flags & T.NumberLiteral) return { k: "l", v: String(type.value) };
    if (flags & T.BigIntLiteral) return { k: "l", v: (type.value.negative ? "-" : "") + type.value.base10Value + "n" };
    if (flags & T.BooleanLiteral) return { k: "l", v: type.intrinsicName };
    if (flags & T.UniqueESSymbol) return { k: "x", s: "unique symbol" };
    if (flags & (T.UnionOrIntersection | T.Object | T.Conditional)) return this.within(type, scope, deep, () => this.composed(type, scope, deep, self));
    if (flags & T.Index) return { k: "keyof", of: this.tree(type.type, scope, deep + 1) };
    if (flags & T.IndexedAccess) return { k: "at", o: this.tree(type.objectType, scope, deep + 1), i: this.tree(type.indexType, scope, deep + 1) };
    if (flags & T.TemplateLiteral) return { k: "tpl", texts: type.texts, of: type.types.map((one) => this.tree(one, scope, deep + 1)) };
    if (flags & (T.StringMapping | T.Substitution)) return this.text(type);
    return { k: "p", n: type.intrinsicName || checker.typeToString(type) };
  }

  // A type that is a part of itself, or whose parts grow with every step down, ends where it is met again or is too deep.
  within(type, scope, deep, make) {
    if ((this.around.has(type) && !scope.open.has(type)) || deep > MOST_NESTED) return { k: "h", n: this.text(type).s };
    const first = !this.around.has(type);
    this.around.add(type);
    const found = make();
    if (first) this.around.delete(type);
    return found;
  }

  composed(type, scope, deep, self) {
    const T = this.ts.TypeFlags;
    if (type.flags & T.Union) return this.union(type, scope, deep, self);
    if (type.flags & T.Intersection) return { k: "i", of: sorted(type.types.map((one) => this.tree(one, scope, deep + 1))) };
    if (type.flags & T.Object) return this.object(type, scope, deep);
    return !type.mapper && type.root ? this.conditional(type, scope, deep) : this.text(type);
  }

  conditional(type, outer, deep) {
    const scope = outer.inner();
    const inferred = type.root.inferTypeParameters || [];
    scope.add(inferred);
    const [yes, no] = [type.root.node.trueType, type.root.node.falseType].map((one) => this.checker.getTypeFromTypeNode(one));
    return {
      k: "c", infer: inferred.map((one) => scope.label(one)), check: this.tree(type.checkType, scope, deep + 1),
      ext: this.tree(type.extendsType, scope, deep + 1), yes: this.tree(yes, scope, deep + 1), no: this.tree(no, scope, deep + 1),
    };
  }

  text(type) {
    const flags = this.ts.TypeFormatFlags;
    return { k: "x", s: this.checker.typeToString(type, undefined, flags.NoTruncation | flags.InTypeAlias) };
  }

  union(type, scope, deep, self) {
    const of = type.types.map((one) => this.tree(one, scope, deep + 1, self));
    const booleans = of.filter((one) => one.k === "l" && (one.v === "true" || one.v === "false"));
    const rest = of.filter((one) => !booleans.includes(one));
    if (booleans.length === 2) rest.push({ k: "p", n: "boolean" });
    else rest.push(...booleans);
    return rest.length === 1 ? rest[0] : { k: "u", of: sorted(rest) };
  }

  enumeration(type, scope, deep) {
    const { ts } = this;
    const symbol = type.symbol;
    if (!(symbol.flags & ts.SymbolFlags.EnumMember)) return this.reference(symbol, [], scope, deep);
    const owner = this.checker.getSymbolAtLocation(symbol.declarations[0].parent.name);
    const found = this.reference(owner, [], scope, deep);
    if (owner.exports.size === 1) return found;
    return found.k === "r" ? { ...found, n: `${found.n}.${symbol.name}`, member: true } : found;
  }

  object(type, scope, deep) {
    const { ts, checker } = this;
    if (checker.isTupleType(type)) return this.tuple(type, scope, deep);
    if (checker.isArrayType(type)) {
      const [of] = checker.getTypeArguments(type);
      const readonly = type.symbol && type.symbol.name === "ReadonlyArray";
      return { k: "a", of: this.tree(of, scope, deep + 1), ...(readonly ? { ro: true } : {}) };
    }
    const symbol = type.symbol;
    const kind = type.objectFlags;
    const named = symbol && (kind & (ts.ObjectFlags.ClassOrInterface | ts.ObjectFlags.Reference));
    if (named && (this.named.has(symbol) || this.foreign(symbol))) {
      const own = type.target ? checker.getTypeArguments(type) : [];
      return this.reference(symbol, own.filter((one) => !one.isThisType).slice(0, (type.target && type.target.typeParameters || []).length), scope, deep);
    }
    const valued = ts.SymbolFlags.Class | ts.SymbolFlags.Function | ts.SymbolFlags.ValueModule | ts.SymbolFlags.Enum;
    if (symbol && symbol.flags & valued && !named && this.named.has(symbol)) return { k: "q", ...this.named.get(symbol) };
    if (scope.open.has(type) || deep > MOST_DEEP) return { k: "h", n: symbol ? symbol.name : checker.typeToString(type) };
    if (symbol && symbol.flags & ts.SymbolFlags.Class && checker.getPropertiesOfType(type).some((one) => this.access(one) !== "public")) {
      return { k: "h", n: symbol.name, ...this.shapeIn(type, scope, deep) };
    }
    if (kind & ts.ObjectFlags.Mapped && !checker.getPropertiesOfType(type).length && !checker.getIndexInfosOfType(type).length) {
      return this.text(type);
    }
    return { k: "o", ...this.shapeIn(type, scope, deep) };
  }

  shapeIn(type, scope, deep) {
    scope.open.add(type);
    const found = this.shape(type, scope, deep + 1);
    scope.open.delete(type);
    return found;
  }

  tuple(type, scope, deep) {
    const { ts, checker } = this;
    const E = ts.ElementFlags;
    const own = checker.getTypeArguments(type);
    const of = own.map((one, index) => {
      const flags = type.target.elementFlags[index];
      const optional = !!(flags & E.Optional);
      const part = { t: this.without(this.tree(one, scope, deep + 1), optional) };
      if (optional) part.opt = true;
      if (flags & E.Variable) part.rest = flags & E.Variadic ? "spread" : "rest";
      return part;
    });
    return { k: "t", of, ...(type.target.readonly ? { ro: true } : {}) };
  }

  reference(symbol, own, scope, deep) {
    const known = this.named.get(symbol);
    const found = known ? { k: "r", e: known.e, n: known.n } : { k: "r", n: this.qualified(symbol), ...this.origin(symbol) };
    const args = own.map((one) => this.tree(one, scope, deep + 1));
    return args.length ? { ...found, args } : found;
  }

  qualified(symbol) {
    const names = [symbol.name];
    for (let at = symbol.parent; at && !at.name.startsWith('"') && at.name !== "__global"; at = at.parent) names.unshift(at.name);
    return names.join(".");
  }

  origin(symbol) {
    const at = symbol.declarations && symbol.declarations[0];
    const source = at && at.getSourceFile();
    if (!source || this.program.isSourceFileDefaultLibrary(source) || !this.ts.isExternalModule(source)) return {};
    const parts = source.fileName.split("/node_modules/");
    const last = parts.length > 1 ? parts[parts.length - 1].split("/") : ["?"];
    const name = last[0].startsWith("@") ? last.slice(0, 2).join("/") : last[0];
    return { m: name.replace(/^@types\//, "").replace(/^([^_]+)__/, "@$1/") };
  }

  foreign(symbol) {
    const at = symbol.declarations && symbol.declarations[0];
    const source = at && at.getSourceFile();
    if (!source) return false;
    if (this.program.isSourceFileDefaultLibrary(source)) return !!symbol.name && symbol.name !== "__type" && symbol.name !== "__object";
    if (symbol.name === "__type" || symbol.name === "__object" || symbol.name === "__function") return false;
    const inside = source.fileName.startsWith(this.root + "/") && !source.fileName.slice(this.root.length).includes("/node_modules/");
    return !inside || !this.ts.isExternalModule(source);
  }

  ofLibrary(symbol) {
    const all = symbol.declarations || [];
    return all.length > 0 && all.every((one) => this.program.isSourceFileDefaultLibrary(one.getSourceFile())) && !!(symbol.parent && symbol.parent.flags & (this.ts.SymbolFlags.Class | this.ts.SymbolFlags.Interface));
  }

  // -- facts

  has(declaration, flag) {
    return !!declaration && !!(this.ts.getCombinedModifierFlags(declaration) & flag);
  }

  tags(symbol, exported) {
    const all = [...symbol.getJsDocTags(this.checker), ...(exported === symbol ? [] : exported.getJsDocTags(this.checker))];
    const whole = symbol.flags & this.ts.SymbolFlags.Function ? (symbol.declarations || []).length > 1 : false;
    const found = all.map((one) => one.name).filter((one) => TAGS.includes(one) && !(whole && one === "deprecated"));
    return [...new Set(found)].sort();
  }

  at(declaration) {
    if (!declaration) return "";
    const source = declaration.getSourceFile();
    const line = source.getLineAndCharacterOfPosition(declaration.getStart(source)).line + 1;
    return `${path.relative(this.root, source.fileName)}:${line}`;
  }
}

class Scope {
  constructor(labels = new Map(), level = 0, open = new Set()) {
    Object.assign(this, { labels, level, open });
  }

  inner() {
    return new Scope(new Map(this.labels), this.level + 1, this.open);
  }

  add(parameters) {
    parameters.forEach((one, index) => this.labels.set(one, `${this.level}.${index}`));
  }

  has(parameter) {
    return this.labels.has(parameter);
  }

  label(parameter) {
    return this.labels.get(parameter) || "?";
  }
}

function sorted(list) {
  return list.map((one) => [JSON.stringify(one), one]).sort((a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0)).map((one) => one[1]);
}

function named(type) {
  return !!type.symbol;
}

module.exports = { Trees };
