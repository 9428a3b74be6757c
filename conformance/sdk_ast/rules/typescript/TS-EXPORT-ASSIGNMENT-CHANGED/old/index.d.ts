declare function f(): void;
declare namespace f { const a: number }
export = f;
