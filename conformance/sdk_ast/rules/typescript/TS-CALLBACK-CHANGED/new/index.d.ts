export type H = (a: number) => void;
export declare function on(h: H): void;
