export declare function f(a: string): string;
export declare function f(a: number): number;
