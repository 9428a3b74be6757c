export declare function f(a: number): number;
export declare function f(a: string): string;
