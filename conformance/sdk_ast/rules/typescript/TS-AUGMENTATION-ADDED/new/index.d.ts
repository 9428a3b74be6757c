export declare const a: 1;
declare global { var xcGlobal: string }
